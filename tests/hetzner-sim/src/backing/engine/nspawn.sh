# Boots one machine. Runs in a mount namespace of its own, so that what it
# mounts goes when the machine's last process does, whatever ends it.
# $1 folder of the machine, $2 its network namespace, $3 its name, $4 host name
set -eu
cd "$1"
# systemd in the machine wants cgroup v2, which a host may not have at its
# usual place.
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
lower=lower
[ ! -e layer ] || lower=layer:lower
# Without loop devices, as in some containers, the host's disk has to serve.
mount -o loop,noinit_itable,nobarrier,discard disk store || mount --bind seed store
mount -t overlay overlay -o "lowerdir=$lower,upperdir=store/upper,workdir=store/work" root
# What nspawn keeps for machinectl is of no use here, and would be left behind.
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
# With the network part of /proc/sys writable, net.* can be set per machine.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
exec systemd-nspawn --quiet --boot --register=no --keep-unit \
    --machine="$3" --hostname="$4" --directory="$1/root" \
    --network-namespace-path="$2" --capability=CAP_NET_ADMIN,CAP_NET_RAW \
    --resolv-conf=off --timezone=off --link-journal=no --console=pipe
