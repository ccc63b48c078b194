"""Separators, headers, comments, quotes and line ends as people's programs write them."""

import csv

import pytest

from tests.tabular.files import ROWS, cells, column_file, loaded, remarks, written

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
PLAIN = {"a": ["1", "3", "5"], "b": ["2", "4", "6"], "y": ["0", "1", "0"]}


def lines(*rows: str) -> str:
    return "\n".join(rows) + "\n"


def many(header: str, row: str, rows: int = ROWS) -> str:
    """Returns a file whose rows differ by their number, which ``{}`` in ``row`` becomes."""
    return lines(header, *(row.replace("{}", str(at)) for at in range(rows)))


@pytest.mark.parametrize("sign", [*SEPARATORS.values(), " ", "   "])
def test_the_separator_is_found_in_few_rows(tmp_path, sign):
    content = lines(*(sign.join(row) for row in ("aby", "120", "341", "560")))
    assert cells(tmp_path, content) == PLAIN


FOUND = {
    "semicolon, commas in the header": (lines("Name, first;Size, in m;y", "Bo;1,5;0", "Al;1,7;1"), {"Name, first": ["Bo", "Al"], "Size, in m": ["1,5", "1,7"], "y": ["0", "1"]}),
    "semicolon, two columns of decimals": (lines("x;y", "1,5;2,5", "0,5;3,5", "2,5;4,5"), {"x": ["1,5", "0,5", "2,5"], "y": ["2,5", "3,5", "4,5"]}),
    "semicolon, a comma in every line": (lines("a, b;y", "1,2;0", "3,4;1"), {"a, b": ["1,2", "3,4"], "y": ["0", "1"]}),
    "semicolon, a line that is short": (lines("x;z;y", "1,5;2,5;0", "1,5;2,5;1", "1,5;2,5"), {"x": ["1,5"] * 3, "z": ["2,5"] * 3, "y": ["0", "1", ""]}),
    "tab, a comma in every line": (lines("a, b\ty", "1,2\t0", "3,4\t1"), {"a, b": ["1,2", "3,4"], "y": ["0", "1"]}),
    "tab, an empty first cell": (lines("a\tb\ty", "\t2\t0", "3\t4\t1"), {"a": ["", "3"], "b": ["2", "4"], "y": ["0", "1"]}),
    "tab, blanks in cells": (lines("a\tb\ty", "x y\t2\t0", "x z\t4\t1"), {"a": ["x y", "x z"], "b": ["2", "4"], "y": ["0", "1"]}),
    "pipe, commas in cells": (lines("a|b|y", "1,5|2,5|0", "1,5|2,5|1"), {"a": ["1,5"] * 2, "b": ["2,5"] * 2, "y": ["0", "1"]}),
    "comma, a blank in every line": (lines("First name,y", "Bo Li,0", "Al Xu,1"), {"First name": ["Bo Li", "Al Xu"], "y": ["0", "1"]}),
    "comma, a blank in every line and one is short": (lines("First name,y", "Bo Li,0", "Al Xu,1", "No end"), {"First name": ["Bo Li", "Al Xu"], "y": ["0", "1"]}),
    "comma, lists by semicolon": (lines("tags,z,y", "a;b,1,0", "c;d,2,1"), {"tags": ["a;b", "c;d"], "z": ["1", "2"], "y": ["0", "1"]}),
    "comma and blanks": (lines("a, b , y", '1, "2, 3" ,0', "4 , 5,1"), {"a": ["1", "4"], "b": ["2, 3", "5"], "y": ["0", "1"]}),
    "blanks, decimal commas": (lines("a b y", "1,5 2,5 0", "3,5 4,5 1"), {"a": ["1,5", "3,5"], "b": ["2,5", "4,5"], "y": ["0", "1"]}),
    "blanks, right aligned": (lines("   a    b y", "  1   22 0", " 33    4 1"), {"a": ["1", "33"], "b": ["22", "4"], "y": ["0", "1"]}),
    "blanks, quoted strings": (lines('"a b" y', '"x ""1""" 0', '"z" 1'), {"a b": ['x "1"', "z"], "y": ["0", "1"]}),
    "one column": (lines("y", "1", "2"), {"y": ["1", "2"]}),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), FOUND.values(), ids=FOUND)
def test_the_separator_is_found_among_other_signs(tmp_path, content, expected):
    assert cells(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("typed", "sign"),
    [*SEPARATORS.items(), *((sign, sign) for sign in SEPARATORS.values()), ("\\t", "\t"), ("space", "  "), ("~", "~"), (":", ":")],
)  # fmt: skip
def test_the_separator_can_be_typed(tmp_path, typed, sign):
    content = lines(*(sign.join(row) for row in ("aby", "120", "341", "560")))
    assert cells(tmp_path, content, separator=typed) == PLAIN


@pytest.mark.parametrize("typed", ["", ",,", '"', "colon", "\n"])
def test_a_wrong_separator_is_refused(tmp_path, typed):
    with pytest.raises(ValueError, match="data.separator: expected one character or one of comma, semicolon, tab, pipe, space"):  # fmt: skip
        cells(tmp_path, many("a,y", "{},1"), separator=typed)


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=;\r", "sep=;;;", "\ufeffsep=;"])
def test_the_line_that_names_the_separator_for_excel(tmp_path, line):
    content = lines(line, "a,1;b;y", "1;2;0", "3;4;1")
    assert cells(tmp_path, content) == {"a,1": ["1", "3"], "b": ["2", "4"], "y": ["0", "1"]}
    with pytest.raises(ValueError, match="line 4: expected 3 cells"):  # the line of the file
        cells(tmp_path, lines(line, "a;b;y", "1;2;0", "1;2;3;4"))


COMMENTS = {
    "above": lines("# made by hand", "#", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "above, commas": lines("# made by hand, in May", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "above, as many cells": lines("# made, by, hand", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "above, as many cells, no blank": lines("#made,by,hand", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "within": lines("a,b,y", "1,2,0", "# the second day", "3,4,1", "5,6,0"),
    "within, as many cells": lines("a,b,y", "1,2,0", "# a, new, day", "3,4,1", "5,6,0"),
    "below": lines("a,b,y", "1,2,0", "3,4,1", "5,6,0", "# end"),
    "above the names": lines("# numbers", "# of 2024", "", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "the header": lines("# a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "comments and the header": lines("# made by hand", "# a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "the header by NumPy": lines("# a b y", "1 2 0", "3 4 1", "5 6 0"),
    "semicolons": lines("# a, b, c", "a;b;y", "1;2;0", "3;4;1", "5;6;0"),
}


@pytest.mark.parametrize("content", COMMENTS.values(), ids=COMMENTS)
def test_comments_are_no_rows(tmp_path, content):
    assert cells(tmp_path, content) == PLAIN


def test_what_numpy_writes(tmp_path):
    content = lines("# x y", *(f"{at / 7:.18e} {at:.18e}" for at in range(ROWS)))
    found = loaded(tmp_path, content)
    assert list(found.text_table().cells.columns) == ["x", "y"]
    assert found.loaded.train.x.max() <= 29 / 7 + 1e-6


NAMES = {
    "the header": (lines("#chrom,pos,y", "chr1,100,0", "chr2,200,1"), {"#chrom": ["chr1", "chr2"], "pos": ["100", "200"], "y": ["0", "1"]}),
    "the header of strings": (lines("#name,color,y", "Bo,red,yes", "Al,blue,no"), {"#name": ["Bo", "Al"], "color": ["red", "blue"], "y": ["yes", "no"]}),
    "one cell": (lines("tag,y", "a,0", "#b,1", "c,0", "d,1"), {"tag": ["a", "#b", "c", "d"], "y": ["0", "1", "0", "1"]}),
    "every cell": (lines("tag,y", "#a,0", "#b,1", "#c,0"), {"tag": ["#a", "#b", "#c"], "y": ["0", "1", "0"]}),
    "every cell and the header": (lines("#,y", "#a,0", "#b,1", "#c,0"), {"#": ["#a", "#b", "#c"], "y": ["0", "1", "0"]}),
    "another column": (lines("x,color,y", "1,#ff0000,0", "2,#00ff00,1"), {"x": ["1", "2"], "color": ["#ff0000", "#00ff00"], "y": ["0", "1"]}),
    "the number sign as a name": (lines("#,x,y", "1,5,0", "2,6,1"), {"#": ["1", "2"], "x": ["5", "6"], "y": ["0", "1"]}),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), NAMES.values(), ids=NAMES)
def test_a_number_sign_may_begin_a_name(tmp_path, content, expected):
    assert cells(tmp_path, content) == expected


@pytest.mark.parametrize("sign", ["#", "%", "//", "--", ";"])
def test_the_sign_of_comments_can_be_typed(tmp_path, sign):
    content = lines(f"{sign} a, b, c", "a,b,y", "1,2,0", f"{sign}3,4,0", "3,4,1", "5,6,0")
    assert cells(tmp_path, content, comment=sign) == PLAIN
    with pytest.raises(ValueError, match="data.comment: expected the one or two characters"):
        cells(tmp_path, content, comment="rem")


def test_no_comments_can_be_typed(tmp_path):
    assert cells(tmp_path, lines("a,y", "# x,1", "z,0"), comment="") == {"a": ["# x", "z"], "y": ["1", "0"]}


TITLES = {
    "title": lines("Report 2024", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "title and blank line": lines("Report 2024", "", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "blank lines": lines("", "  ", "a,b,y", "", "1,2,0", "3,4,1", "", "5,6,0"),
    "two titles": lines("Report 2024", "by Bo", "", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "title of a spreadsheet": lines("Report 2024,,", ",,", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "title in the middle": lines(",Report 2024,", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "note below": lines("a,b,y", "1,2,0", "3,4,1", "5,6,0", "", "Source: Bo"),
    "notes below": lines("a,b,y", "1,2,0", "3,4,1", "5,6,0", "Source: Bo", "All rights reserved"),
    "quoted title": lines('"Report, 2024"', "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
}


@pytest.mark.parametrize("content", TITLES.values(), ids=TITLES)
def test_titles_blank_lines_and_notes_are_no_rows(tmp_path, content):
    assert cells(tmp_path, content) == PLAIN


def test_a_title_with_separators(tmp_path):
    content = lines("Report, of 2024, by Bo", "a,b,c,d,y", "1,2,3,4,0", "5,6,7,8,1")
    assert list(cells(tmp_path, content)) == ["a", "b", "c", "d", "y"]


def test_what_was_left_out_is_said_with_its_lines(tmp_path):
    rows = [f"{at},{at % 7},{at}" for at in range(ROWS)]
    data = loaded(tmp_path, lines("Title", "# note", "a,b,y", *rows, "a,b,y", *rows, "Source: Bo"))
    found = {each.reason: each.examples for each in data.description.left_out}
    assert found == {
        "comment lines": ("line 2: # note",),
        "lines above the header": ("line 1: Title",),
        "lines that repeat the header": ("line 34: a b y",),
        "lines below the table": ("line 65: Source: Bo",),
    }


REPEATED = {
    "once": lines("a,b,y", "1,2,0", "a,b,y", "3,4,1", "5,6,0"),
    "twice": lines("a,b,y", "1,2,0", "a,b,y", "3,4,1", "a,b,y", "5,6,0"),
    "at once": lines("a,b,y", "a,b,y", "1,2,0", "3,4,1", "5,6,0"),
    "with blanks": lines("a,b,y", "1,2,0", "a, b ,y", "3,4,1", "5,6,0"),
    "with trailing separators": lines("a,b,y,", "1,2,0,", "a,b,y,", "3,4,1,", "5,6,0,"),
    "as a comment": lines("# a,b,y", "1,2,0", "# a,b,y", "3,4,1", "5,6,0"),
}


@pytest.mark.parametrize("content", REPEATED.values(), ids=REPEATED)
def test_a_repeated_header_is_no_row(tmp_path, content):
    assert cells(tmp_path, content) == PLAIN


def test_a_repeated_header_with_names_that_occur_twice(tmp_path):
    content = lines("x,x,,y", "1,2,3,0", "x,x,,y", "4,5,6,1")
    assert cells(tmp_path, content) == {"x": ["1", "4"], "x.1": ["2", "5"], "column 3": ["3", "6"], "y": ["0", "1"]}


TRAILING = {
    "everywhere": lines("a,b,y,", "1,2,0,", "3,4,1,", "5,6,0,"),
    "in the rows": lines("a,b,y", "1,2,0,", "3,4,1,", "5,6,0,"),
    "in the header": lines("a,b,y,", "1,2,0", "3,4,1", "5,6,0"),
    "several": lines("a;b;y;;;", "1;2;0;;;", "3;4;1;;;", "5;6;0;;;"),
    "in one row": lines("a,b,y", "1,2,0", "3,4,1,,", "5,6,0"),
    "tabs": lines("a\tb\ty\t", "1\t2\t0\t", "3\t4\t1\t", "5\t6\t0\t"),
    "and blanks": lines("a,b,y, ", "1,2,0, ", "3,4,1, ", "5,6,0, "),
}


@pytest.mark.parametrize("content", TRAILING.values(), ids=TRAILING)
def test_trailing_separators_make_no_column(tmp_path, content):
    assert cells(tmp_path, content) == PLAIN


@pytest.mark.parametrize(
    ("row", "line", "found"),
    [("1,2,3,0", 6, 4), ("1,5,2,5,0", 6, 5), ("1,2,0,x", 6, 4), ("Doe, Bo,1,0", 6, 4), ("1,,,,5", 6, 5)],
)
def test_a_line_with_more_cells_than_the_header_is_refused(tmp_path, row, line, found):
    with pytest.raises(ValueError, match=f"line {line}: expected 3 cells, as the header has; got {found}"):
        cells(tmp_path, lines("a,b,y", "1,2,0", "", "", "3,4,1", row, "5,6,0"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({3: "1,2"}, "1 line has fewer cells than the header (line 3)"),
        ({3: "1", 5: "1,2"}, "2 lines have fewer cells than the header (line 3, 5)"),
        (dict.fromkeys(range(3, 8), "1,2"), "5 lines have fewer cells than the header (line 3, 4, 5 and 2 more)"),
        ({31: "1,2"}, "1 line has fewer cells than the header (line 31)"),
        ({31: "7"}, "1 line has fewer cells than the header (line 31)"),
    ],
)
def test_short_lines_are_named(tmp_path, rows, said):
    content = lines("a,b,y", *(rows.get(at + 2, f"{at % 5},{at % 7},{at}") for at in range(ROWS)))
    assert f"{said}; the missing cells are empty" in remarks(loaded(tmp_path, content))


OPEN = {
    "in the middle, no other quote": (many("a,b,y", "{},x,0").replace("7,x,0", '7,"x,0', 1), 9),
    "in the middle, other quotes": (many("a,b,y", '{},"x",0').replace('7,"x",0', '7,"x,0', 1), 9),
    "in the last line": (many("a,b,y", "{},x,0") + '30,"x,0\n', 32),
    "in the last line without an end": (many("a,b,y", "{},x,0") + '30,"x', 32),
    "in the header": (many('"a,b,y', '{},"x",0'), 1),
    "semicolons": (many("a;b;y", '{};"x";0').replace('7;"x";0', '7;"x;0', 1), 9),
    "apostrophes": (many("'a';'b';'y'", "{};'x';0").replace("7;'x';0", "7;'x;0", 1), 9),
}


@pytest.mark.parametrize(("content", "line"), OPEN.values(), ids=OPEN)
def test_a_quote_that_is_not_closed_is_named_by_its_line(tmp_path, content, line):
    with pytest.raises(ValueError, match=f"line {line}: expected a closing"):
        cells(tmp_path, content)


def test_a_long_file_with_an_open_quote_is_refused_before_the_end(tmp_path):
    with pytest.raises(ValueError, match="line 2: expected a closing"):
        cells(tmp_path, 'a,y\n"1,0\n' + "1,0\n" * 600_000)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quoted_separators_quotes_and_line_ends(tmp_path, end):
    content = end.join(["a,b,y", f'"x, y","one{end}two",0', f'"say ""hi""","{end}three",1', 'plain,5" pipe,0', ""])
    assert cells(tmp_path, content) == {
        "a": ["x, y", 'say "hi"', "plain"],
        "b": ["one\ntwo", "three", '5" pipe'],
        "y": ["0", "1", "0"],
    }


def test_a_long_quoted_text_is_a_cell(tmp_path):
    text = "\n".join(f"line {at}" for at in range(200))
    assert cells(tmp_path, f'a,y\n"{text}",0\nb,1\n') == {"a": [text, "b"], "y": ["0", "1"]}


@pytest.mark.parametrize("sign", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"])
def test_a_cell_with_a_sign_that_only_python_takes_for_a_line_end_stays_whole(tmp_path, sign):
    rows = [f"a{sign}b,0", "c,1", f'"d{sign}e",0']
    assert cells(tmp_path, lines("x,y", *rows)) == {"x": [f"a{sign}b", "c", f"d{sign}e"], "y": ["0", "1", "0"]}


LINE_ENDS = {
    "LF": "a,b,y\n1,2,0\n3,4,1\n5,6,0\n",
    "CRLF": "a,b,y\r\n1,2,0\r\n3,4,1\r\n5,6,0\r\n",
    "CR": "a,b,y\r1,2,0\r3,4,1\r5,6,0\r",
    "mixed": "a,b,y\r\n1,2,0\n3,4,1\r5,6,0",
    "none at the end": "a,b,y\n1,2,0\n3,4,1\n5,6,0",
    "many at the end": "a,b,y\n1,2,0\n3,4,1\n5,6,0\n\n\r\n\n",
    "CRCRLF": "a,b,y\r\r\n1,2,0\r\r\n3,4,1\r\r\n5,6,0\r\r\n",
}


@pytest.mark.parametrize("content", LINE_ENDS.values(), ids=LINE_ENDS)
def test_line_ends(tmp_path, content):
    assert cells(tmp_path, content) == PLAIN


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lines("'a';'y'", "'x;z';0", "'u';1"), {"a": ["x;z", "u"], "y": ["0", "1"]}),
        (lines("'a','y'", "'x, z','0'", "'u','1'"), {"a": ["x, z", "u"], "y": ["0", "1"]}),
        (lines("a,y", "O'Neil,0", "D'Arcy,1"), {"a": ["O'Neil", "D'Arcy"], "y": ["0", "1"]}),
        (lines("a,y", "'tis,0", "don't,1", "'k,0"), {"a": ["'tis", "don't", "'k"], "y": ["0", "1", "0"]}),
        (lines("a,y", "'x',0", '"y, z",1', "'u',0"), {"a": ["'x'", "y, z", "'u'"], "y": ["0", "1", "0"]}),
        (lines("a,y", "5'10,0", "6'1,1"), {"a": ["5'10", "6'1"], "y": ["0", "1"]}),
    ],
)
def test_apostrophes_quote_only_where_most_lines_have_quoted_cells(tmp_path, content, expected):
    assert cells(tmp_path, content) == expected


@pytest.mark.parametrize("sign", [*SEPARATORS.values(), " "])
def test_a_file_without_a_header(tmp_path, sign):
    content = lines(*(sign.join(row) for row in ("120", "341", "560")))
    expected = {"0": ["1", "3", "5"], "1": ["2", "4", "6"], "2": ["0", "1", "0"]}
    assert cells(tmp_path, content, header=False) == expected
    trailing = lines(*(",".join(row) + "," for row in ("120", "341", "560")))
    assert cells(tmp_path, trailing, header=False) == expected
    assert cells(tmp_path, "# a comment\n" + content, header=False) == expected


def test_a_header_of_numbers_is_said(tmp_path):
    content = many("5.1,3.5,0", "{},1.5,{}")
    data = loaded(tmp_path, content, target="0")
    assert [text for text in remarks(data) if "the header consists of numbers: 5.1, 3.5, 0" in text and "data.header=false" in text]  # fmt: skip


ROW_NAMES = {
    "from 1": lines('"a" "y"', '"1" 5 0', '"2" 6 1', '"3" 7 0'),
    "from 0": lines("a,y", "0,5,0", "1,6,1", "2,7,0"),
    "strings": lines("a y", '"Mazda RX4" 5 0', '"Fiat 128" 6 1', '"Volvo" 7 0'),
    "strings by tab": lines("a\ty", "Mazda RX4\t5\t0", "Fiat 128\t6\t1", "Volvo\t7\t0"),
    "an empty name": lines('"","a","y"', '"1",5,0', '"2",6,1', '"3",7,0'),
}


@pytest.mark.parametrize("content", ROW_NAMES.values(), ids=ROW_NAMES)
def test_the_names_of_rows_that_r_writes(tmp_path, content):
    found = cells(tmp_path, content)
    assert list(found) == ["column 1", "a", "y"]
    assert (found["a"], found["y"]) == (["5", "6", "7"], ["0", "1", "0"])


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("x,x,y", ["x", "x.1", "y"]),
        ("x,x,x,y", ["x", "x.1", "x.2", "y"]),
        ("x,x.1,x,y", ["x", "x.1", "x.2", "y"]),
        (",x,,y", ["column 1", "x", "column 3", "y"]),
        ("Größe,GRÖSSE,y", ["Größe", "GRÖSSE", "y"]),
        (" x ,x,y", ["x", "x.1", "y"]),
        ("Unnamed: 0,x,y", ["Unnamed: 0", "x", "y"]),
        ("x [m],a=b,#c,y", ["x [m]", "a=b", "#c", "y"]),
        ("column 2,,y", ["column 2", "column 2.1", "y"]),
    ],
)
def test_names_are_different(tmp_path, header, names):
    row = ",".join(["{}"] * header.count(",") + ["{}"])
    assert list(cells(tmp_path, many(header, row))) == names


def test_a_name_that_occurs_twice_is_said(tmp_path):
    assert "the header has 'x' twice; the later column is called x.1" in remarks(loaded(tmp_path, many("x,x,y", "{},1{},{}")))  # fmt: skip


def test_lines_are_those_of_the_file(tmp_path):
    content = 'Title\n\na,y\n# note\n1,0\n"two\nlines",1\n\n3,0\n'
    table = loaded(tmp_path, many("a,y", "{},{}")).text_table().cells
    assert list(table.index) == list(range(2, 32))
    found = loaded(tmp_path, many("a,y", "{},{}"))
    written(tmp_path, content)
    assert list(found.text_table().cells.index) == [5, 6, 9]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("\n\n \n", "the file is empty"),
        ("a,y\n", "expected rows below the header; got none"),
        ("a,y\n\n , \n", "expected rows below the header; got none"),
        ("# only\n# comments\n", "got comments only"),
        ("a,y\na,y\n", "expected rows below the header; got none"),
    ],
)
def test_no_table(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        cells(tmp_path, content)


@pytest.mark.parametrize("length", [1000, 140_000, 1_000_000])
def test_a_long_cell_is_a_cell(tmp_path, length):
    assert cells(tmp_path, lines("a,y", f"{'x' * length},0", "b,1"))["a"] == ["x" * length, "b"]


def test_the_limit_of_cells_of_the_csv_module_is_left_as_it_was(tmp_path):
    before = csv.field_size_limit()
    cells(tmp_path, column_file(["1", "2"]))
    with pytest.raises(ValueError, match="closing"):
        cells(tmp_path, 'a,y\n"1,0\n' + "1,0\n" * 600_000)
    assert csv.field_size_limit() == before
