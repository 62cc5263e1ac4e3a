"""FLOPs, GPU-hours and money, and what serving a model costs in the currency of its training."""

from __future__ import annotations

from dataclasses import dataclass

from scalebed.core.errors import ScalebedError
from scalebed.study.hardware import Hardware


@dataclass(frozen=True)
class Demand:
    """Tokens that a model will read and write in its life.

    Attributes
    ----------
    read, written : float
    """

    read: float = 0.0
    written: float = 0.0

    @property
    def tokens(self) -> float:
        """T: tokens served, each at 2 N FLOPs."""
        return self.read + self.written


@dataclass(frozen=True)
class Prices:
    """Prices of training and serving on the devices of a site.

    Attributes
    ----------
    hardware : Hardware, optional
        Without one, costs are FLOPs and a served token costs what it computes.
    """

    hardware: Hardware | None = None

    @property
    def device(self) -> str | None:
        """Name of the device trained on."""
        return self.hardware.gpu.name if self.hardware and self.hardware.gpu else None

    def hours(self, flops: float) -> float | None:
        """Hours on one device of training FLOPs; None without a device."""
        if self.hardware is None or self.hardware.gpu is None:
            return None
        return flops / self.hardware.gpu.rate / 3600

    def money(self, flops: float) -> float | None:
        """Price of training FLOPs; None where no price is known."""
        gpu = self.hardware.gpu if self.hardware else None
        price = gpu.flop_price if gpu else None
        return None if price is None else flops * price

    def flops(self, money: float) -> float:
        """Return the training FLOPs that an amount of money buys.

        Raises
        ------
        ScalebedError
            If no price is known.
        """
        price = self.money(1.0)
        if price is None:
            raise ScalebedError(
                "--money needs --hardware, a file with gpu.price_per_hour: nothing tells what a "
                "FLOP costs"
            )
        return money / price

    def most_flops(self, days: float, devices: int | None) -> float:
        """Return the training FLOPs of some days on devices; all those of a cell by default.

        Raises
        ------
        ScalebedError
            If no device is named.
        """
        gpu = self.hardware.gpu if self.hardware else None
        if gpu is None:
            raise ScalebedError("--max-days needs --hardware, a file with a gpu")
        return days * 86400 * gpu.rate * (gpu.most if devices is None else devices)

    def equivalent(self, demand: Demand) -> float:
        """Return the demand T for which 6 N D + 2 N T is the cost of a life, in training FLOPs.

        With prices of both, a served token counts as many as a FLOP of serving is dearer than one
        of training (Sardana et al., arXiv 2401.00448, Eq. 4): reading and writing have utilisations
        of their own.
        """
        gpu = self.hardware.gpu if self.hardware else None
        serving = self.hardware.serving if self.hardware else None
        price = gpu.flop_price if gpu else None
        if serving is None or price is None:
            return demand.tokens
        read = demand.read * serving.flop_price(serving.utilization_input)
        written = demand.written * serving.flop_price(serving.utilization_output)
        return (read + written) / price
