# Boots one machine. Runs in a mount namespace of its own, so that what it
# mounts goes when the machine's last process does, whatever ends it.
# $1 folder of the machine, $2 its network namespace, $3 its name, $4 host name,
# $5 its control group
set -eu
cd "$1"
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
# runc hands controllers down only from a group that has no processes itself.
mkdir -p "/sys/fs/cgroup$5/keeper"
echo $$ > "/sys/fs/cgroup$5/keeper/cgroup.procs"
lower=lower
[ ! -e layer ] || lower=layer:lower
# Without loop devices, as in some containers, the host's disk has to serve.
mount -o loop,noinit_itable,nobarrier,discard disk store || mount --bind seed store
mount -t overlay overlay -o "lowerdir=$lower,upperdir=store/upper,workdir=store/work" root
# podman's own storage stays empty, the root file system being ours. It lies in
# the machine's folder and goes with it; the short name is because podman
# refuses a path of over 50 bytes. What runc would leave goes with the mount.
mkdir -p podman /run/runc
mount --bind podman /mnt
mount -t tmpfs tmpfs /run/runc
# As with nspawn, of /proc/sys only the network's part, which is the machine's
# own, can be written.
init='mount --bind /proc/sys/net /proc/sys/net; mount -o remount,bind,rw /proc/sys/net
    exec /sbin/init'
# What systemd-nspawn grants, and what podman does not by itself.
caps=AUDIT_CONTROL,AUDIT_WRITE,DAC_READ_SEARCH,IPC_OWNER,LEASE,LINUX_IMMUTABLE,MKNOD,NET_ADMIN
caps=$caps,NET_BROADCAST,NET_RAW,SYS_ADMIN,SYS_BOOT,SYS_NICE,SYS_PTRACE,SYS_TTY_CONFIG
# The limits: without any given, podman asks for more than a confined root may
# have. With crun in place of runc machines do not start (podman 4.3).
exec podman --root=/mnt/storage --runroot=/mnt/run --tmpdir=/mnt/tmp \
    --storage-driver=vfs --cgroup-manager=cgroupfs --events-backend=none --runtime=runc \
    run --rm --name="$3" --hostname="$4" --network="ns:$2" --cgroup-parent="$5" \
    --log-driver=none --systemd=always --no-hosts --dns=none \
    --cap-add="$caps" --security-opt=seccomp=unconfined \
    --security-opt=apparmor=unconfined --security-opt=label=disable \
    --pids-limit=-1 --ulimit=nofile=1024:4096 --ulimit=nproc=4096:4096 \
    --rootfs "$1/root" /bin/sh -ec "$init"
