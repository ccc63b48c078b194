"""Reinforcement learning on a cart-pole, graphs, sets, and two towers."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from case import Case, Training
from cases.supervised import (
    ADAM,
    FASTER,
    Batch,
    OfCopy,
    Optimizer,
    Supervised,
    accuracy,
    adam,
    adamw,
    dice,
    explained,
    loader,
    mlp,
    predicted,
    sgd,
    shuffled,
    split,
)
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

LONGEST = 100


class CartPoles:
    """Many cart-poles at once: a state is the position, its speed, the angle and its speed."""

    def __init__(self, count: int = 16):
        self.state = self.start(count)

    @staticmethod
    def start(count: int) -> Tensor:
        return torch.rand(count, 4) * 0.1 - 0.05

    def step(self, action: Tensor) -> Tensor:
        """Pushes left (0) or right (1), and returns which poles have fallen."""
        x, v, angle, turn = self.state.unbind(1)
        push = (action * 20.0 - 10.0 + 0.05 * turn.square() * angle.sin()) / 1.1
        bend = (9.8 * angle.sin() - angle.cos() * push) / (0.5 * (4 / 3 - 0.1 * angle.cos().square() / 1.1))
        speed_up = push - 0.05 * bend * angle.cos() / 1.1
        self.state = torch.stack([x + 0.02 * v, v + 0.02 * speed_up, angle + 0.02 * turn, turn + 0.02 * bend], 1)
        return (self.state[:, 0].abs() > 2.4) | (self.state[:, 2].abs() > 0.2095)

    def restart(self, fallen: Tensor) -> None:
        """Puts the fallen ones up again."""
        self.state = torch.where(fallen[:, None], self.start(len(fallen)), self.state)


def sampled(outputs: Tensor) -> Tensor:
    """Draws an action for each row of logits; what is not finite counts as 0."""
    return torch.multinomial(outputs.nan_to_num(0, 0, 0).softmax(1), 1)[:, 0]


@torch.no_grad()
def episodes(net: nn.Module, count: int = 16, greedy: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Plays once, and returns states, actions and which steps were before the fall, each by time and game."""
    games, alive = CartPoles(count), torch.ones(count, dtype=torch.bool)
    states, actions, lived = [], [], []
    for _ in range(LONGEST):
        outputs = net(games.state)
        action = outputs.argmax(1) if greedy else sampled(outputs)
        states.append(games.state), actions.append(action), lived.append(alive)
        alive = alive & ~games.step(action)
        if not alive.any():
            break
    return torch.stack(states), torch.stack(actions), torch.stack(lived).float()


def balance(net: nn.Module, greedy: bool = False) -> float:
    """Returns for how many steps the pole stays up on average."""
    return episodes(net.eval(), 64, greedy)[2].sum(0).mean().item()


def rounds() -> DataLoader:
    """Loads the numbers of rounds: the data come from the game."""
    return DataLoader(range(1000), batch_size=1)


class Reinforce(LightningModule):
    """Plays episodes and follows the gradient of the policy."""

    def __init__(self, optimizer: Optimizer, sign: float = 1.0, reward: float = 1.0):
        super().__init__()
        self.policy, self.optimizer, self.sign, self.reward = mlp(4, 32, 2, act=nn.Tanh), optimizer, sign, reward

    def training_step(self, _: Tensor, __: int) -> Tensor:
        states, actions, lived = episodes(self.policy)
        gains, ahead = [], torch.zeros(lived.shape[1])
        for alive in lived.flip(0):
            ahead = self.reward * alive + 0.97 * ahead
            gains.append(ahead)
        gain = torch.stack(gains[::-1])
        weight = (gain - gain[lived > 0].mean()) / (gain[lived > 0].std() + 1e-6) * lived
        log = self.policy(states.flatten(0, 1)).log_softmax(1).gather(1, actions.flatten()[:, None])[:, 0]
        return -self.sign * (log * weight.flatten()).sum() / lived.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.policy.parameters())


def reinforce(optimizer: Optimizer = adam(1e-2), **options: Any) -> Training:  # noqa: B008
    """Trains a policy for 120 rounds."""
    return Training(Reinforce(optimizer, **options), rounds(), 120, lambda m: balance(m.policy), 22.0, 70.0)


class DQN(LightningModule):
    """Learns the value of actions from a memory, against a target network."""

    def __init__(self, optimizer: Optimizer, reward: float = 1.0):
        super().__init__()
        self.values = mlp(4, 64, 64, 2)
        self.target = deepcopy(self.values).requires_grad_(False)
        self.games, self.memory, self.optimizer = CartPoles(), [], optimizer
        self.reward = reward

    @torch.no_grad()
    def play(self) -> None:
        before = self.games.state
        explore = torch.rand(len(before)) < max(0.05, 1 - self.global_step / 400)
        action = torch.where(explore, torch.randint(2, (len(before),)), self.values(before).argmax(1))
        fallen = self.games.step(action)
        self.memory = [*self.memory[-500:], (before, action, self.games.state, fallen.float())]
        self.games.restart(fallen)

    def training_step(self, _: Tensor, __: int) -> Tensor:
        self.play()
        if self.global_step % 25 == 0:
            self.target.load_state_dict(self.values.state_dict())
        picked = torch.randint(len(self.memory), (8,)).tolist()
        state, action, after, fallen = (torch.cat(part) for part in zip(*(self.memory[k] for k in picked), strict=True))
        value = self.values(state).gather(1, action[:, None])[:, 0]
        aim = self.reward * (1 - fallen) + 0.95 * (1 - fallen) * self.target(after).amax(1)
        return F.smooth_l1_loss(value, aim)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.values.parameters())


def dqn(optimizer: Optimizer = adam(2e-3), **options: Any) -> Training:  # noqa: B008
    """Trains values for 1500 steps of 16 games."""
    return Training(DQN(optimizer, **options), rounds(), 1500, lambda m: balance(m.values, greedy=True), 22.0, 65.0)


class ActorCritic(LightningModule):
    """Steps an actor and a critic by hand, each with an optimizer of its own."""

    def __init__(self, actor_lr: float = 5e-3, critic_lr: float = 1e-2, reward: float = 1.0, sign: float = 1.0):
        super().__init__()
        self.automatic_optimization = False
        self.actor, self.critic = mlp(4, 32, 2, act=nn.Tanh), mlp(4, 32, 1, act=nn.Tanh)
        self.games, self.lrs, self.reward, self.sign = CartPoles(), (actor_lr, critic_lr), reward, sign

    @torch.no_grad()
    def play(self) -> tuple[Tensor, Tensor, Tensor]:
        states, actions, returns, ends = [], [], [], []
        for _ in range(20):
            action = sampled(self.actor(self.games.state))
            states.append(self.games.state), actions.append(action)
            ends.append(self.games.step(action))
            self.games.restart(ends[-1])
        ahead = self.critic(self.games.state)[:, 0]
        for fallen in reversed(ends):
            ahead = (self.reward + 0.97 * ahead) * ~fallen
            returns.append(ahead)
        return torch.cat(states), torch.cat(actions), torch.cat(returns[::-1])

    def training_step(self, _: Tensor, __: int) -> None:
        states, actions, returns = self.play()
        for_actor, for_critic = self.optimizers()
        value = self.critic(states)[:, 0]
        for_critic.zero_grad()
        self.manual_backward(F.smooth_l1_loss(value, returns))
        for_critic.step()
        gain = (returns - value).detach()
        gain = (gain - gain.mean()) / (gain.std() + 1e-6)
        log = self.actor(states).log_softmax(1)
        entropy = -(log.exp() * log).sum(1).mean()
        for_actor.zero_grad()
        self.manual_backward(-self.sign * (log.gather(1, actions[:, None])[:, 0] * gain).mean() - 0.005 * entropy)
        for_actor.step()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        nets = (self.actor, self.critic)
        return [torch.optim.Adam(net.parameters(), lr) for net, lr in zip(nets, self.lrs, strict=True)]


def actor_critic(**options: Any) -> Training:
    """Trains both for 500 rounds of 20 steps; each of the two optimizers counts as a step."""
    return Training(ActorCritic(**options), rounds(), 1000, lambda m: balance(m.actor), 22.0, 65.0)


class GCN(nn.Module):
    """Graph convolutions over all nodes, of which the asked ones are returned."""

    def __init__(self, x: Tensor, adjacency: Tensor, depth: int, act: nn.Module, skip: bool = False):
        super().__init__()
        self.register_buffer("x", x)
        self.register_buffer("adjacency", adjacency)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth - 1))
        self.act, self.head, self.skip = act, nn.Linear(16, 3), skip

    def forward(self, nodes: Tensor) -> Tensor:
        h = self.x
        for layer in self.layers:
            new = self.act(self.adjacency @ layer(h))
            h = h + new if self.skip else new
        return (self.adjacency @ self.head(h))[nodes]


def graph(
    depth: int = 2,
    act: nn.Module | None = None,
    optimizer: Optimizer = FASTER,
    *,
    normed: bool = True,
    skip: bool = False,
    scramble: bool = False,
    module: type = Supervised,
    edges: bool = True,
) -> Training:
    """Trains a GCN on 60 of 300 nodes in three communities."""
    y = torch.arange(300) % 3
    likely = torch.where(y[:, None] == y[None], 0.1, 0.01)
    upper = (torch.rand(300, 300, generator=dice()) < likely).float().triu(1)
    adjacency = upper + upper.T + torch.eye(300)
    degree = adjacency.sum(1)
    if normed:
        adjacency = adjacency / (degree[:, None] * degree[None]).sqrt()
    x = torch.randn(300, 16, generator=dice(1)) + 0.4 * torch.randn(3, 16, generator=dice(2))[y]
    x = x if edges else torch.ones_like(x)
    train, held = split(torch.arange(300), y, held_out=0.8)
    if scramble:
        train[1] = shuffled(train[1])
    made = module(
        GCN(x, adjacency, depth, act or nn.ReLU(), skip), lambda net, b: F.cross_entropy(net(b[0]), b[1]), optimizer
    )
    return Training(
        made, loader(*train, batch=60), 300, lambda m: accuracy(predicted(m, held[0]), held[1]), 1 / 3, 0.75, held=held
    )


class DeepSets(nn.Module):
    """A net of each element, their mean, and a net of that."""

    def __init__(self, dead: bool = False):
        super().__init__()
        self.each, self.all = mlp(2, 48, 48), mlp(48, 48, 1)
        if dead:
            nn.init.constant_(self.each[0].bias, -100.0)

    def forward(self, elements: Tensor) -> Tensor:
        return self.all(self.each(elements).relu().mean(1))[:, 0]


def sets(
    optimizer: Optimizer = ADAM, *, dead: bool = False, target_scale: float = 1.0, scramble: bool = False
) -> Training:
    """Trains it to tell the spread of sets of ten points."""
    wide = torch.rand(8000, 1, 1, generator=dice()) * 2
    x = torch.randn(8000, 10, 2, generator=dice(1)) * wide
    train, held = split(x, wide[:, 0, 0] * target_scale)
    if scramble:
        train[1] = shuffled(train[1])
    made = Supervised(DeepSets(dead), lambda net, batch: F.mse_loss(net(batch[0]), batch[1]), optimizer)
    return Training(made, loader(*train), 500, lambda m: explained(predicted(m, held[0]), held[1]), 0.0, 0.7, held=held)


class Towers(nn.Module):
    """Two nets that map the two sides of a pair to one space."""

    def __init__(self):
        super().__init__()
        self.left, self.right = mlp(30, 64, 16), mlp(20, 64, 16)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return F.normalize(self.left(x), dim=1) @ F.normalize(self.right(y), dim=1).T


def towers(optimizer: Optimizer = ADAM, *, blank: bool = False, scramble: bool = False) -> Training:
    """Trains them so that each finds its partner among 64."""
    z = torch.randn(8000, 6, generator=dice())
    x = (z @ torch.randn(6, 30, generator=dice(1))).tanh() + 0.1 * torch.randn(8000, 30, generator=dice(2))
    y = (z @ torch.randn(6, 20, generator=dice(3))).tanh() + 0.1 * torch.randn(8000, 20, generator=dice(4))
    train, held = split(x, y * (not blank))
    if scramble:
        train[1] = shuffled(train[1])

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        likeness = net(*batch) / 0.1
        labels = torch.arange(len(likeness))
        return (F.cross_entropy(likeness, labels) + F.cross_entropy(likeness.T, labels)) / 2

    def score(module: LightningModule) -> float:
        batches = list(zip(held[0].split(64), held[1].split(64), strict=True))[:-1]
        return sum(accuracy(predicted(module, *pair).nan_to_num(), torch.arange(64)) for pair in batches) / len(batches)

    return Training(Supervised(Towers(), loss, optimizer), loader(*train), 500, score, 1 / 64, 0.6, held=held)


GRAPH, SETS, TOWERS = "GCN on three communities", "DeepSets, regression", "two towers, InfoNCE"
POLICY, VALUES, BOTH = "REINFORCE on cart-poles", "DQN with a target network", "actor-critic, two optimizers, by hand"
CASES = [
    Case("reinforce", f"{POLICY}, Adam", reinforce),
    Case("dqn", f"{VALUES}, Adam", dqn),
    Case("actor_critic", BOTH, actor_critic),
    Case("gcn", f"{GRAPH}, Adam", graph),
    Case("gcn_skips", f"{GRAPH}, 8 layers with skips, Adam", partial(graph, 8, skip=True)),
    Case("deep_sets", f"{SETS}, Adam", sets),
    Case("towers", f"{TOWERS}, Adam", towers),
    Case("towers_sgd", f"{TOWERS}, SGD with momentum", partial(towers, sgd(0.2, momentum=0.9))),
    Case(
        "reinforce/lr_high",
        POLICY,
        partial(reinforce, adam(30.0)),
        "Adam lr 30",
        ("unstable", "saturated", "exploding"),
    ),
    Case("reinforce/lr_low", POLICY, partial(reinforce, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
    Case(
        "reinforce/wrong_sign",
        POLICY,
        partial(reinforce, sign=-1.0),
        "the return is minimized",
        ("not_learning", "unstable", "head"),
    ),
    Case("dqn/lr_high", VALUES, partial(dqn, adam(3.0)), "Adam lr 3", ("unstable", "dead_units", "exploding")),
    Case(
        "dqn/reward",
        VALUES,
        partial(dqn, sgd(0.1), reward=1e6),
        "rewards of 1e6, SGD",
        ("target_scale", "unstable", "exploding", "slow"),
    ),
    Case("dqn/lr_low", VALUES, partial(dqn, adam(1e-8)), "Adam lr 1e-8", ("stalled", "slow")),
    Case(
        "actor_critic/lr_low",
        BOTH,
        partial(actor_critic, actor_lr=1e-8, critic_lr=1e-8),
        "both rates are 1e-8",
        ("stalled", "slow"),
    ),
    Case(
        "actor_critic/lr_high",
        BOTH,
        partial(actor_critic, actor_lr=30.0),
        "the actor's rate is 30",
        ("unstable", "saturated", "exploding"),
    ),
    Case(
        "actor_critic/lr_zero",
        BOTH,
        partial(actor_critic, actor_lr=0.0),
        "the actor's rate is 0",
        ("no_update", "stalled"),
    ),
    Case("gcn/deep", GRAPH, partial(graph, 24, nn.Sigmoid()), "24 sigmoid layers without skips", ("vanishing",)),
    Case(
        "gcn/unnormed",
        GRAPH,
        partial(graph, 8, nn.ReLU(), adam(0.1), normed=False),
        "8 layers of sums over neighbours, lr 0.1",
        ("exploding", "unstable", "dead_units"),
    ),
    Case("gcn/shuffled", GRAPH, partial(graph, scramble=True), "labels are shuffled", ("not_learning",)),
    Case(
        "gcn/constant",
        GRAPH,
        partial(graph, edges=False),
        "each node has the same features",
        ("bad_data", "not_learning"),
    ),
    Case("gcn/copied", GRAPH, partial(graph, module=OfCopy), "the optimizer has a copy", ("no_update",)),
    Case(
        "deep_sets/dead",
        SETS,
        partial(sets, sgd(0.01), dead=True),
        "biases of -100 turn each ReLU off",
        ("dead_units",),
    ),
    Case("deep_sets/shuffled", SETS, partial(sets, scramble=True), "targets are shuffled", ("not_learning",)),
    Case(
        "deep_sets/targets",
        SETS,
        partial(sets, adam(1e-3), target_scale=1e6),
        "targets of 1e6, Adam 1e-3",
        ("target_scale",),
    ),
    Case(
        "towers/blank",
        TOWERS,
        partial(towers, blank=True),
        "one side's inputs are all zero",
        ("bad_data", "not_learning"),
    ),
    Case("towers/shuffled", TOWERS, partial(towers, scramble=True), "partners are exchanged", ("not_learning",)),
    Case(
        "towers/decay", TOWERS, partial(towers, adamw(1e-2, weight_decay=100.0)), "weight decay 100", ("weight_decay",)
    ),
]
