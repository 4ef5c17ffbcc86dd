"""Small files that stand in a checkout for large ones which were not fetched."""

_KINDS = {
    b"version https://git-lfs.github.com/spec/": ("a Git LFS pointer", "git lfs pull"),
    b"version https://hawser.github.com/spec/": ("a Git LFS pointer", "git lfs pull"),
    b"/annex/objects/": ("a git-annex pointer", "git annex get"),
}
HEAD_BYTES = 64
"""How much of a file tells whether it is one."""
POINTER_BYTES = 1024
"""No pointer is as large; Git LFS allows less than this."""


def pointer_told(head: bytes) -> str:
    """What a file is, given its first bytes, and what fetches the file it stands for; or ""."""
    for start, (what, command) in _KINDS.items():
        if head.startswith(start):
            return f"it is {what} and not the file itself; run `{command}` in its folder"
    return ""
