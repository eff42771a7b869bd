"""The edit distance by its definition; time grows exponentially with the lengths."""


def edit_distance(first, second):
    """By recursion on the last tokens."""
    if not first or not second:
        return len(first) + len(second)
    if first[-1] == second[-1]:
        return edit_distance(first[:-1], second[:-1])
    return 1 + min(
        edit_distance(first[:-1], second),
        edit_distance(first, second[:-1]),
        edit_distance(first[:-1], second[:-1]),
    )
