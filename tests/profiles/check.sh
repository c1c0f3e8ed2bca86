# Read by each probe: says of one thing after the other whether it is so. What a probe looks at is the effect, on the
# node, as root; never what Ansible said of it.
failed=0

holds() { # NAME COMMAND...
    name=$1
    shift
    if said=$("$@" 2>&1); then
        echo "ok $name"
    else
        echo "not ok $name: $(printf '%s' "$said" | tail -n 3 | tr '\n' ' ')"
        failed=1
    fi
}

not() { ! "$@"; }

# As a user who is nobody in particular.
as_ordinary() { runuser -u nobody -- "$@"; }

is() { [ "$1" = "$2" ] || { echo "found: $1; wanted: $2"; return 1; }; }
