# What every node has, by its effect.

sshd_says() { sshd -T | grep -qixF "$1" || { sshd -T | grep -i "^${1%% *}"; return 1; }; }
for line in 'permitrootlogin no' 'passwordauthentication no' 'kbdinteractiveauthentication no' \
    'authenticationmethods publickey' 'permitemptypasswords no' 'x11forwarding no' 'allowagentforwarding no' \
    'maxauthtries 4' 'loglevel VERBOSE' 'allowgroups nodeyard'; do
    holds "sshd: $line" sshd_says "$line"
done
holds 'sshd: penalties as shipped' sh -c 'sshd -T | grep -q "^persourcepenalties .*authfail:"'
holds 'host key: one, made on the node' is "$(sshd -T | grep '^hostkey ')" 'hostkey /etc/ssh/nodeyard_host_ed25519_key'
holds 'host key: the delivered ones are gone' not ls /etc/ssh/ssh_host_ed25519_key
holds 'host key: readable for root alone' is "$(stat -c %a:%U /etc/ssh/nodeyard_host_ed25519_key)" 600:root
holds 'admin: keys are of the form that was asked for' ssh-keygen -l -f /home/nodeyard/.ssh/authorized_keys
holds 'admin: keys are the admin user alone' is \
    "$(stat -c %a:%U /home/nodeyard/.ssh/authorized_keys)" 600:nodeyard
holds 'admin: no password' is "$(passwd -S nodeyard | cut -d' ' -f2)" L
holds 'root: no password' is "$(passwd -S root | cut -d' ' -f2)" L

holds 'firewall: input is dropped by default' sh -c 'nft list chain inet nodeyard input | grep -q "policy drop"'
holds 'firewall: sshd may be reached' sh -c 'nft list chain inet nodeyard input | grep -q "tcp dport 22 accept"'
holds 'firewall: loaded at each boot' systemctl is-enabled nodeyard-firewall.service
holds 'firewall: no file flushes what others made' not grep -q '^[^#]*flush ruleset' /etc/nodeyard/firewall.nft

metadata() { timeout 10 curl -sf -o /dev/null http://169.254.169.254/hetzner/v1/userdata; }
holds 'metadata: open to root, so that closed means something' metadata
holds 'metadata: closed to an ordinary user' not as_ordinary timeout 10 curl -sf -o /dev/null \
    http://169.254.169.254/hetzner/v1/userdata
holds 'metadata: closed to the admin user without sudo' not runuser -u nodeyard -- timeout 10 curl -sf -o /dev/null \
    http://169.254.169.254/hetzner/v1/userdata
holds 'user data: there for root' test -s /var/lib/cloud/instance/user-data.txt
holds 'user data: closed to an ordinary user' not as_ordinary ls /var/lib/cloud/instance/
holds 'cloud-init: still answers the admin user' sh -c \
    'runuser -u nodeyard -- cloud-init status | grep -q "status: done"'

holds 'fail2ban: its jail watches sshd' fail2ban-client status sshd
holds 'fail2ban: bans by nftables' sh -c 'fail2ban-client get sshd actions | grep -q nftables'
ban() {
    fail2ban-client set sshd banip 192.0.2.99 && sleep 1 && nft list ruleset | grep -q 192.0.2.99
    found=$?
    fail2ban-client set sshd unbanip 192.0.2.99
    return $found
}
holds 'fail2ban: a ban is in force' ban

holds 'upgrades: only security, no reboot' sh -c '
    apt-config dump | grep -q "Unattended-Upgrade::Automatic-Reboot \"false\"" &&
    apt-config dump | grep -q "Origins-Pattern:: \".*Debian-Security\"" &&
    ! apt-config dump | grep "Origins-Pattern::" | grep -qv Debian-Security'
holds 'upgrades: looked for by themselves' sh -c 'apt-config dump | grep -q "APT::Periodic::Unattended-Upgrade \"1\""'
holds 'upgrades: timers wait' systemctl is-active apt-daily.timer apt-daily-upgrade.timer
holds 'upgrades: a dry run works' unattended-upgrade --dry-run

holds 'journal: bounded' sh -c 'systemd-analyze cat-config systemd/journald.conf | grep -q ^SystemMaxUse=500M'
holds 'journal: kept across boots' sh -c '[ -d /var/log/journal ] && journalctl --header | grep -q /var/log/journal'
holds 'logs: the rules can be read' logrotate --debug /etc/logrotate.conf
holds 'logs: rotated each day' systemctl is-active logrotate.timer

# In a container the unit rules itself out: then the clock is the host's.
in_sync() {
    if systemd-detect-virt --quiet --container; then
        [ "$(systemctl show -P LoadState systemd-timesyncd)" = loaded ] &&
            [ "$(systemctl show -P ConditionResult systemd-timesyncd)" = no ]
    else
        is "$(timedatectl show -P NTPSynchronized)" yes
    fi
}
holds 'clock: in sync, or the host keeps it' in_sync
holds 'clock: kept after the next boot' systemctl is-enabled systemd-timesyncd.service

holds 'kernel: redirects are refused' is "$(cat /proc/sys/net/ipv4/conf/all/accept_redirects)" 0
holds 'nothing waits for a guard' not sh -c 'systemctl list-timers --all | grep -q nodeyard-guard'
holds 'no unit has failed' is "$(systemctl --failed --no-legend --plain | cut -d' ' -f1 | tr '\n' ' ')" ''
