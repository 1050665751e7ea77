#!/bin/sh
# Installs a released tiny-chat: finds the archive for this machine, verifies its checksum, tries the program, and only then
# puts it in place.
#
#   curl -fsSL https://github.com/tiny-chat/tiny-chat/releases/latest/download/install.sh | sh
#
# Environment:
#   TINY_CHAT_BIN       the folder for the program; /usr/local/bin if it can be written to, else ~/.local/bin
#   TINY_CHAT_VERSION   such as 1.0.0; the latest release by default
#   TINY_CHAT_RELEASES  where the releases are
set -eu

releases=${TINY_CHAT_RELEASES:-https://github.com/tiny-chat/tiny-chat/releases}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

# Prints the target of this machine, as Rust names it.
target() {
    case $(uname -m) in
        x86_64 | amd64) cpu=x86_64 ;;
        aarch64 | arm64) cpu=aarch64 ;;
        *) cpu=$(uname -m) ;;
    esac
    case $(uname -s) in
        Linux)
            # musl's ldd prints its name to standard error.
            case $(ldd --version 2>&1 || true) in
                *musl*) echo "$cpu-unknown-linux-musl" ;;
                *) echo "$cpu-unknown-linux-gnu" ;;
            esac ;;
        Darwin) echo "$cpu-apple-darwin" ;;
        *) fail "there are no releases for $(uname -s); see README.md for Docker and cargo" ;;
    esac
}

# download URL FILE
download() {
    if command -v curl >/dev/null; then
        curl -fsSL --proto-redir =https --retry 2 -o "$2" "$1"
    elif command -v wget >/dev/null; then
        wget -q -O "$2" "$1"
    else
        fail "curl or wget is needed"
    fi || fail "$1 cannot be downloaded"
}

# Prints the SHA-256 of a file.
sha256() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    elif command -v shasum >/dev/null; then
        shasum -a 256 "$1"
    else
        fail "sha256sum or shasum is needed to verify the download"
    fi | cut -d ' ' -f 1
}

# In a function, so that a script that arrives only in part does nothing.
main() {
    target=$(target)
    if [ -n "${TINY_CHAT_BIN:-}" ]; then
        bin=$TINY_CHAT_BIN
    elif [ -d /usr/local/bin ] && [ -w /usr/local/bin ]; then
        bin=/usr/local/bin
    else
        bin=${HOME:?}/.local/bin
    fi
    mkdir -p "$bin" 2>/dev/null || fail "$bin cannot be made; set TINY_CHAT_BIN to another folder, or use sudo"
    # Beside its destination, so that moving it there is one step.
    work=$(mktemp -d "$bin/.tiny-chat.XXXXXX" 2>/dev/null) ||
        fail "$bin cannot be written to; set TINY_CHAT_BIN to another folder, or use sudo"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM

    case ${TINY_CHAT_VERSION:-latest} in
        latest) sums=$releases/latest/download/SHA256SUMS ;;
        *) sums=$releases/download/v${TINY_CHAT_VERSION#v}/SHA256SUMS ;;
    esac
    download "$sums" "$work/SHA256SUMS"
    line=$(grep -E "^[0-9a-f]{64}[ ][ *]tiny-chat-[0-9][^ /]*-$target\.tar\.gz\$" "$work/SHA256SUMS" | head -n 1) ||
        line=
    [ -n "$line" ] || fail "this release has nothing for $target; see README.md for Docker and cargo"
    expected=${line%% *}
    archive=${line#*[ ][ *]}
    name=${archive%.tar.gz}
    version=${name#tiny-chat-}
    version=${version%"-$target"}

    download "$releases/download/v$version/$archive" "$work/$archive"
    actual=$(sha256 "$work/$archive")
    [ "$actual" = "$expected" ] ||
        fail "$archive has the checksum $actual instead of $expected: nothing was installed"
    tar -xzf "$work/$archive" -C "$work" "$name/tiny-chat" || fail "$archive cannot be unpacked"
    said=$("$work/$name/tiny-chat" --version 2>&1) ||
        fail "tiny-chat $version does not run on this machine ($said); see README.md for Docker and cargo"
    mv -f "$work/$name/tiny-chat" "$bin/tiny-chat" || fail "$bin/tiny-chat cannot be written"
    echo "$said is in $bin"
    case :$PATH: in
        *":$bin:"*) echo "Start it with: tiny-chat" ;;
        *) echo "Start it with: $bin/tiny-chat (that folder is not in your PATH)" ;;
    esac
}

main
