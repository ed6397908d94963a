"""`PairNetworkConfig`: a small network that reads two elements, as inert and validated data."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Literal

import torch

from refractor.base.checks import check_int, check_member
from refractor.base.errors import ConfigError, nearest
from refractor.models.config_checks import DTYPES, check_bool
from refractor.models.device import as_device

WIDTHS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "mlp": MappingProxyType({"d_embed": 256, "d_hidden": 128}),
        "bilinear": MappingProxyType({"d_embed": 256}),
        "quadratic": MappingProxyType({"d_hidden": 128}),
    }
)
"""For each architecture the widths that it has, with those of the published runs (Chughtai et al. 2023)."""


@dataclass(frozen=True, kw_only=True)
class PairNetworkConfig:
    """The architecture of a network that reads two elements x, y out of n and answers with n logits.

    - "mlp": `ReLU([W_x[x]; W_y[y]] W) W_U` (Chughtai et al. 2023);
    - "bilinear": `(W_x[x] * W_y[y]) W_U` (the same study);
    - "quadratic": `(U[x] + V[y])² W` (Gromov 2023).

    Args:
        architecture: one of the three.
        n: number of elements.
        d_embed: width of an embedding ("mlp", "bilinear"); 256 when left out.
        d_hidden: neurons of a hidden layer ("mlp", "quadratic"); 128 when left out.
        hidden_layers: of an MLP, 1 or 2.
        biases: whether an MLP has biases `b_1`, `b_2` (with two hidden layers) and `b_U`; they begin at 0.
        shared: whether both elements are read with one embedding `W_E` ("mlp", "bilinear").
        seed: seed of the generator that draws the weights; None uses torch's global one.
        init_weights: draw weights at construction; False leaves them 0, to be loaded.
        device: where the parameters lie.
        dtype: their type; a name such as "float32" is accepted.
        model_name: what people call it.

    Raises:
        ConfigError: a field is set that the architecture does not have.
        ArgumentError: a value is out of range.

    >>> cfg = PairNetworkConfig(architecture="mlp", n=120)
    >>> cfg.d_embed, cfg.d_hidden, PairNetworkConfig.from_dict(cfg.to_dict()) == cfg
    (256, 128, True)

    """

    architecture: Literal["mlp", "bilinear", "quadratic"]
    n: int
    d_embed: int | None = None
    d_hidden: int | None = None
    hidden_layers: int = 1
    biases: bool = False
    shared: bool = False
    seed: int | None = None
    init_weights: bool = True
    device: torch.device | str = "cpu"
    dtype: torch.dtype | str = torch.float32
    model_name: str = "custom"

    def __post_init__(self) -> None:
        """Fill in the widths that were left out, and check everything."""
        check_member("architecture", self.architecture, tuple(WIDTHS))
        check_int("n", self.n, least=1)
        self._settle_widths()
        check_int("hidden_layers", self.hidden_layers, least=1, most=2)
        for name in ("biases", "shared", "init_weights"):
            check_bool(name, vars(self)[name])
        self._check_parts()
        if self.seed is not None:
            check_int("seed", self.seed, least=0, most=2**63 - 1)
        if isinstance(self.dtype, str):
            check_member("dtype", self.dtype.removeprefix("torch."), tuple(DTYPES))
            object.__setattr__(self, "dtype", DTYPES[self.dtype.removeprefix("torch.")])
        check_member("dtype", self.dtype, tuple(DTYPES.values()))
        device = torch.device("meta") if str(self.device) == "meta" else as_device(self.device)
        object.__setattr__(self, "device", device)

    def _settle_widths(self) -> None:
        there = WIDTHS[self.architecture]
        for name in ("d_embed", "d_hidden"):
            value = vars(self)[name]
            if name in there:
                object.__setattr__(self, name, there[name] if value is None else check_int(name, value, least=1))
            elif value is not None:
                raise ConfigError(
                    f"architecture={self.architecture!r} has no {name}, only {', '.join(there)}; {name}={value} came."
                )

    def _check_parts(self) -> None:
        if self.architecture != "mlp" and (self.hidden_layers != 1 or self.biases):
            name, value = ("biases", True) if self.biases else ("hidden_layers", self.hidden_layers)
            raise ConfigError(f"{name}={value} needs architecture='mlp'; {self.architecture!r} came.")
        if self.architecture == "quadratic" and self.shared:
            raise ConfigError("shared=True needs architecture='mlp' or 'bilinear'; 'quadratic' came.")

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return DTYPES[self.dtype] if isinstance(self.dtype, str) else self.dtype

    def placed(self, device: torch.device, dtype: torch.dtype) -> "PairNetworkConfig":
        """Return the same architecture with its parameters elsewhere, or of another type."""
        return replace(self, device=device, dtype=dtype)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values = {field.name: vars(self)[field.name] for field in fields(self)}
        return {**values, "device": str(self.device), "dtype": str(self.dtype).removeprefix("torch.")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PairNetworkConfig":
        """Build a configuration from a mapping of fields.

        Raises:
            ConfigError: a key is not a field (the nearest ones are offered), or a required one is missing.

        """
        known = [field.name for field in fields(cls)]
        for key in values:
            if key not in known:
                near = ", ".join(nearest(key, known)) or ", ".join(known)
                raise ConfigError(f"{key!r} is no field of PairNetworkConfig. Nearest: {near}.")
        missing = [name for name in ("architecture", "n") if name not in values]
        if missing:
            raise ConfigError(f"PairNetworkConfig needs {', '.join(missing)}.")
        return cls(**values)
