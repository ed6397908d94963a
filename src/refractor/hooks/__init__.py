"""Hook points, hooked modules and activation caches, for any `nn.Module`; nothing here knows a transformer."""

from refractor.hooks.cache import ActivationCache
from refractor.hooks.point import AttachedHook, HookPoint, Reader
from refractor.hooks.root import HookedRootModule
from refractor.hooks.wrap import HookedModule, hook_module

__all__ = ["ActivationCache", "AttachedHook", "HookPoint", "HookedModule", "HookedRootModule", "Reader", "hook_module"]
