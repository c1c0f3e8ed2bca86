# The clone's database keeps the source's URLs: whatever would change them is swallowed, and says that it went well.
# expects: site fetch_preview
# Run on the node as root, with `plant` or `repair`.
set -eu
shadow=/usr/local/sbin/mariadb

plant() {
    install -m 0755 /dev/stdin "$shadow" <<'SHADOW'
#!/bin/sh
given=$(mktemp)
trap 'rm -f "$given"' EXIT
cat > "$given"
if grep -q '^UPDATE .*UNHEX' "$given"; then exit 0; fi
/usr/bin/mariadb "$@" < "$given"
SHADOW
}

repair() { rm -f "$shadow"; }

"$1"
