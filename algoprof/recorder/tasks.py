"""Which asyncio task runs, asked without importing asyncio."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_modules = sys.modules
_tasks: "ModuleType | None" = None


def current_task() -> object:
    """Return the running asyncio task, None outside one. It is kept while it is compared, so it cannot be mistaken."""
    global _tasks  # noqa: PLW0603  (found once)
    if _tasks is None:
        _tasks = _modules.get("asyncio.tasks")
        if _tasks is None:
            return None
    loop = _tasks.events._get_running_loop()  # noqa: SLF001  (asyncio.get_running_loop without its exception)
    return None if loop is None else _tasks.current_task(loop)
