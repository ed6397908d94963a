"""Which memory is spoken for: storages that a cache holds or that a hook handed in, during one pass."""

from torch import Tensor


class Ledger:
    """The storages that must not be edited in place. One ledger serves all hook points of a network.

    It holds addresses, not tensors: it keeps nothing alive. An address that was freed and reused costs one
    needless copy; a storage that is alive is never missed. `taps`, where it is a list, gathers the tensors
    whose gradients backward hooks wait for, so that a backward pass can be run for these alone.

    >>> import torch
    >>> ledger, x = Ledger(), torch.zeros(4)
    >>> ledger.note(x)
    >>> ledger.holds(x[1:]), ledger.holds(x.clone())
    (True, False)
    """

    def __init__(self) -> None:
        self._storages: set[int] = set()
        self.taps: list[Tensor] | None = None

    def note(self, tensor: Tensor) -> None:
        """Protect the storage of `tensor`, and so every view of it."""
        if not tensor.is_meta:  # a dry run has no memory to protect
            self._storages.add(tensor.untyped_storage().data_ptr())

    def holds(self, tensor: Tensor) -> bool:
        """Whether the storage of `tensor` is protected."""
        return bool(self._storages) and tensor.untyped_storage().data_ptr() in self._storages

    def clear(self) -> None:
        """Forget everything: a new pass makes new tensors."""
        self._storages.clear()
