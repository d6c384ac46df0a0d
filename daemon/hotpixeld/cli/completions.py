"""Completions for bash, zsh and fish, made from the commands."""

from collections.abc import Iterator, Sequence

from hotpixeld.cli.tree import Command, Option

_MADE = "# Made by `make docs` from the commands of hotpixeld; do not edit."


def bash(tree: Sequence[Command]) -> str:
    """Return the script for bash; it needs no bash-completion."""
    return "\n".join(_bash(tree)) + "\n"


def _bash(tree: Sequence[Command]) -> Iterator[str]:
    yield from (
        _MADE,
        "_hotpixeld() {",
        '    local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
        '    local command="" word words="" files=""',
        '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        '        case "$command:$word" in',
    )
    for command in tree:
        for name in command.inner:
            inner = " ".join((*command.words, name))
            yield f'            "{command.name}:{name}") command="{inner}" ;;'
    yield from ("        esac", "    done", '    case "$command $before" in')
    for command in tree:
        for option in command.flagged:
            if option.value:
                patterns = "|".join(f'"{command.name} {flag}"' for flag in option.flags)
                yield f"        {patterns}) {_bash_value(option)} ;;"
    yield from ('        *) case "$command" in',)
    for command in tree:
        flags = [flag for option in command.flagged for flag in option.flags]
        files = " files=1" if any(option.is_file for option in command.positionals) else ""
        words = " ".join((*command.inner, *flags))
        yield f'            "{command.name}") words="{words}"{files} ;;'
    yield from (
        "        esac ;;",
        "    esac",
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
        "    if [[ -n $files && $current != -* ]]; then",
        "        compopt -o filenames 2>/dev/null",
        '        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")',
        "    fi",
        "}",
        "complete -F _hotpixeld hotpixeld",
    )


def _bash_value(option: Option) -> str:
    if option.choices:
        return f'words="{" ".join(option.choices)}"'
    return "files=1" if option.is_file else "words="


def fish(tree: Sequence[Command]) -> str:
    """Return the script for fish."""
    lines = [_MADE, "complete -c hotpixeld -f"]
    for command in tree:
        condition = _fish_condition(command)
        for name in command.inner:
            inner = next(c for c in tree if c.words == (*command.words, name))
            lines.append(
                f"complete -c hotpixeld -n {_quoted(condition)} -a {name} -d {_quoted(inner.help)}"
            )
        for option in command.options:
            line = f"complete -c hotpixeld -n {_quoted(condition)}"
            for flag in option.flags:
                line += f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}"
            if option.choices:
                line += f" -x -a {_quoted(' '.join(option.choices))}"
            elif option.is_file:
                line += " -r -F" if option.flags else " -F"
            elif option.value and option.flags:
                line += " -x"
            if option.flags or option.is_file:
                lines.append(f"{line} -d {_quoted(option.help)}" if option.help else line)
    return "\n".join(lines) + "\n"


def _fish_condition(command: Command) -> str:
    if not command.words:
        return "__fish_use_subcommand"
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in command.words)
    if command.inner:
        return f"{seen}; and not __fish_seen_subcommand_from {' '.join(command.inner)}"
    return seen


def zsh(tree: Sequence[Command]) -> str:
    """Return the script for zsh."""
    lines = ["#compdef hotpixeld", _MADE]
    for command in tree:
        name = "_".join(("_hotpixeld", *command.words)).replace("-", "_")
        specs = [_zsh_spec(option) for option in command.options]
        lines.append(f"{name}() {{")
        if command.inner:
            inner = [c for c in tree if c.words[:-1] == command.words and c.words]
            listed = " ".join(_quoted(f"{c.words[-1]}:{c.help}") for c in inner)
            arguments = " ".join((*specs, "'1: :->command'", "'*:: :->rest'"))
            lines += [
                "    local curcontext=$curcontext state line",
                f"    _arguments -C {arguments}",
                "    case $state in",
                f"        command) local -a found=({listed}); _describe command found ;;",
                "        rest) case $line[1] in",
            ]
            for c in inner:
                below = "_".join(("_hotpixeld", *c.words)).replace("-", "_")
                lines.append(f"            {c.words[-1]}) {below} ;;")
            lines += ["        esac ;;", "    esac"]
        else:
            lines.append(f"    _arguments {' '.join(specs)}")
        lines.append("}")
    return "\n".join([*lines, '_hotpixeld "$@"']) + "\n"


def _zsh_spec(option: Option) -> str:
    text = option.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    action = ""
    if option.choices:
        action = f"({' '.join(option.choices)})"
    elif option.is_file:
        action = "_files"
    if not option.flags:
        many = "*" if option.repeats in ("+", "*") else ""
        return _quoted(f"{many}:{option.value}:{action}")
    value = f":{option.value.partition('|')[0]}:{action}" if option.value else ""
    if len(option.flags) == 1:
        return _quoted(f"{option.flags[0]}[{text}]{value}")
    excluded = " ".join(option.flags)
    return f"{_quoted(f'({excluded})')}{{{','.join(option.flags)}}}{_quoted(f'[{text}]{value}')}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
