"""What a plugin's tests ask of a value outside a setting's meaning: that it is refused."""

from zoo_core.errors import ZooError
from zoo_core.recipe import resolve
from zoo_core.testing.kit import CheckFailed


def check_refused(name: str, assignment: str) -> None:
    """Checks that an algorithm refuses a value in one line, which begins with the setting's path.

    Args:
        name: Of an installed algorithm.
        assignment: A path and a value that its type or bounds exclude, such as `expectile=1`.

    Raises:
        CheckFailed: it is taken, or the message is another one.
    """
    try:
        resolve(name, [assignment])
    except ZooError as error:
        line = str(error)
        if line.startswith(f"{assignment.partition('=')[0]}: input should be") and "\n" not in line:
            return
        raise CheckFailed(f"{name} refuses {assignment} by: {line}") from error
    raise CheckFailed(f"{name} takes {assignment}")
