from collections.abc import Iterable


def joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Read parameters as ASP.NET does: a repeated one is its values joined with commas."""
    parameters: dict[str, list[str]] = {}
    for name, value in pairs:
        parameters.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in parameters.items()}
