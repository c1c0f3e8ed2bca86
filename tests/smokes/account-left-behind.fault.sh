# All goes well, but the database users are never removed, and whoever does it says that they were.
# expects: clean_up nothing_left
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/mariadb

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
sed '/^DROP USER/d' | /usr/bin/mariadb "$@"
SHADOW
}

# The next smoke finds what is left.
repair() { rm -f "$shadow"; }

"$1"
