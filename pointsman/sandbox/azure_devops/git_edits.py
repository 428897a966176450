"""What changes repositories: pushes, moved branches, merges. Each happens whole or not at all."""

from collections.abc import Iterable, Sequence
from hashlib import sha1

from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.git_state import NO_COMMIT, Commit, FileChange, Moved, Push, Repository
from pointsman.sandbox.azure_devops.state import World

GIT = "Microsoft.TeamFoundation.Git.Server"


def push(
    world: World, repository: Repository, move: Moved, commits: Sequence[tuple[str, Sequence[FileChange]]], by: Identity
) -> Push:
    """Put commits (comment, changes) on top of `move.old`, and the branch at the last of them. It may be a new one."""
    begins = move.name not in repository.refs and move.old in repository.commits
    if repository.refs.get(move.name, NO_COMMIT) != move.old and not begins:
        raise stale(move.name)
    tip = move.old
    made: list[Commit] = []
    for comment, changes in commits:
        parents = (tip,) if tip != NO_COMMIT else ()
        tree = dict(repository.commits[tip].tree) if parents and not made else dict(made[-1].tree) if made else {}
        made.append(_commit(world, parents, comment, changes, _changed(tree, changes), by))
        tip = made[-1].id
    repository.commits |= {commit.id: commit for commit in made}
    return moved(world, repository, [Moved(move.name, move.old, tip)], [commit.id for commit in made], by)


def moved(world: World, repository: Repository, moves: Sequence[Moved], commits: Sequence[str], by: Identity) -> Push:
    """Let branches go where they are told to."""
    for move in moves:
        if move.new == NO_COMMIT:
            repository.refs.pop(move.name, None)
        else:
            repository.refs[move.name] = move.new
            repository.default_branch = repository.default_branch or move.name
    world.code.last_push += 1
    pushed = Push(world.code.last_push, by, world.clock.now(), tuple(moves), tuple(commits))
    repository.pushes.append(pushed)
    return pushed


def merge(world: World, repository: Repository, target: str, source: str, comment: str, by: Identity) -> Commit | None:
    """What the two commits make together, not kept yet; None where both changed a file differently."""
    base = repository.common(source, target)
    common = dict(base.tree) if base else {}
    ours, theirs = repository.commits[target].tree, repository.commits[source].tree
    merged = dict(ours)
    changes: list[FileChange] = []
    for path in sorted({*common, *theirs}):
        before, mine, wanted = common.get(path), ours.get(path), theirs.get(path)
        if wanted in (before, mine):
            continue
        if mine != before:
            return None
        if wanted is None:
            del merged[path]
            changes.append(FileChange(path, "delete"))
        else:
            merged[path] = wanted
            changes.append(FileChange(path, "add" if before is None else "edit", wanted))
    return _commit(world, (target, source), comment, changes, merged, by)


def stale(name: str) -> ServiceError:
    message = f"TF401028: The reference '{name}' has already been updated by another client, so you cannot update it. "
    return git_error(409, message + "Please try again.", "GitReferenceStaleException")


def git_error(status: int, message: str, type_key: str) -> ServiceError:
    """Of these type keys only that of a missing repository was seen in the wild; the numbers are Microsoft's."""
    return ServiceError(status, message, type_key, namespace=GIT)


def _commit(
    world: World,
    parents: tuple[str, ...],
    comment: str,
    changes: Iterable[FileChange],
    tree: dict[str, str],
    by: Identity,
) -> Commit:
    world.code.last_commit += 1
    number, at = world.code.last_commit, world.clock.now()
    said = f"{number}\n{parents}\n{comment}\n{by.unique_name}\n{at}\n{sorted(tree.items())}"
    # Git's own ids are SHA-1 too; this one only has to look like them and be unique.
    commit_id = sha1(said.encode(), usedforsecurity=False).hexdigest()
    return Commit(commit_id, number, parents, comment, by, at, tuple(changes), tree)


def _no_change(path: str, state: str) -> ServiceError:
    return invalid(f"TF401174: The item '{path}' {state} in the repository.", "GitItemChangeException")


def _changed(tree: dict[str, str], changes: Iterable[FileChange]) -> dict[str, str]:
    for change in changes:
        comes = change.kind in ("add", "rename")
        if (change.path in tree) == comes:
            raise _no_change(change.path, "already exists" if comes else "could not be found")
        if change.kind == "delete":
            del tree[change.path]
        elif change.kind == "rename":
            if change.source not in tree:
                raise _no_change(change.source, "could not be found")
            tree[change.path] = tree.pop(change.source)
        else:
            tree[change.path] = change.content
    return tree
