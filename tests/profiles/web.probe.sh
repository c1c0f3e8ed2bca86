# What a platform for WordPress finds on the node, by its effect. A site is made, used and removed again.

listens_on_loopback() { # PORT
    ss -Hltn "sport = :$1" | awk '{print $4}' | grep -q . || { echo "nobody listens on $1"; return 1; }
    ! ss -Hltn "sport = :$1" | awk '{print $4}' | grep -vE '^(127\.0\.0\.1|\[::1\]):'
}
holds 'mariadb: on the loopback only' listens_on_loopback 3306
holds 'redis: on the loopback only' listens_on_loopback 6379
holds 'nginx: open to all' sh -c 'ss -Hltn "sport = :80" | grep -q "0.0.0.0:80"'
holds 'firewall: the web may be reached' sh -c 'nft list chain inet nodeyard input | grep -q "tcp dport { 80, 443 } accept"'

memory_mb=$(awk '/^MemTotal:/ {print int($2 / 1024)}' /proc/meminfo)
sql() { mariadb --batch --skip-column-names --execute="$1"; }
least() { [ "$1" -lt "$2" ] && echo "$1" || echo "$2"; }
holds 'mariadb: root by the socket, without a password' is "$(sql 'SELECT CURRENT_USER()')" root@localhost
holds 'mariadb: a fifth of the memory' is "$(sql 'SELECT @@innodb_buffer_pool_size DIV 1048576')" \
    "$(least $((memory_mb * 20 / 100)) 16384)"
holds 'mariadb: no account that anybody may use' is "$(sql "SELECT COUNT(*) FROM mysql.global_priv WHERE User = ''")" 0
holds 'redis: a share of the memory' is "$(redis-cli config get maxmemory | tail -n 1)" \
    $(($(least $((memory_mb * 8 / 100)) 2048) * 1048576))
holds 'redis: the least used goes first' is "$(redis-cli config get maxmemory-policy | tail -n 1)" allkeys-lru

site=nodeyard-probe
root=/var/www/sites/$site
make_site() {
    useradd --system --no-create-home --home-dir $root --shell /usr/sbin/nologin $site &&
        install -d -m 0750 -o $site -g www-data $root $root/htdocs $root/htdocs/uploads
    cat > /etc/php/8.4/fpm/pool.d/$site.conf <<POOL
[$site]
user = $site
group = $site
listen = /run/php/$site.sock
listen.owner = www-data
listen.group = www-data
listen.mode = 0600
pm = ondemand
pm.max_children = 2
php_admin_value[open_basedir] = $root:/tmp
POOL
    cat > /etc/nginx/sites-enabled/$site.conf <<SERVER
server {
    listen 80;
    listen [::]:80;
    server_name $site.test;
    root $root/htdocs;
    set \$nodeyard_site $site;
    include snippets/nodeyard-php.conf;
}
SERVER
    cat > $root/htdocs/index.php <<'PAGE'
<?php echo posix_getpwuid(posix_geteuid())['name'], ' ', hrtime(true), ' ', implode(',', get_loaded_extensions());
PAGE
    echo '<?php echo "run";' > $root/htdocs/uploads/evil.php
    echo '<?php echo "login";' > $root/htdocs/wp-login.php
    echo '<?php echo function_exists("exec") ? "yes" : "no", ini_get("display_errors") ?: "", @file_get_contents("/etc/passwd");' \
        > $root/htdocs/tries.php
    mkdir $root/htdocs/.git && echo secret > $root/htdocs/.git/config
    php-fpm8.4 --test && nginx -t && systemctl reload php8.4-fpm nginx
}
remove_site() {
    rm -f /etc/nginx/sites-enabled/$site.conf /etc/php/8.4/fpm/pool.d/$site.conf
    systemctl reload php8.4-fpm nginx
    pkill -u $site
    rm -rf $root
    userdel $site
}
get() { curl -s -H "Host: $site.test" "$@"; }
page=http://127.0.0.1

remove_site > /dev/null 2>&1
holds 'site: can be made of a user, a pool and a server block' make_site
holds 'site: PHP runs as its user' sh -c "for i in 1 2 3 4 5; do
    curl -s -H 'Host: $site.test' $page/ | grep -q '^$site ' && exit 0; sleep 1; done; exit 1"
for extension in bcmath curl dom exif fileinfo gd igbinary imagick intl mbstring mysqli openssl redis SimpleXML sodium xml \
    zip 'Zend OPcache'; do
    holds "php: has $extension" sh -c "curl -s -H 'Host: $site.test' $page/ | grep -qw '$extension'"
done
headers=$(get -D - -o /dev/null $page/)
for header in 'x-content-type-options: nosniff' 'x-frame-options: sameorigin' \
    'referrer-policy: strict-origin-when-cross-origin' 'permissions-policy: camera=()'; do
    holds "headers: $header" sh -c "printf '%s' \"\$1\" | grep -qiF '$header'" - "$headers"
done
holds 'headers: no versions' not sh -c 'printf "%s" "$1" | grep -qiE "nginx/|x-powered-by"' - "$headers"
holds 'cache: the second visit is served from it' is "$(get "$page/")" "$(get "$page/")"
holds 'cache: says so' sh -c "printf '%s' \"\$1\" | grep -qi 'x-cache: hit'" - "$(get -D - -o /dev/null $page/)"
holds 'cache: not for whoever is logged in' not is "$(get -b wordpress_logged_in_x=1 $page/)" "$(get -b wordpress_logged_in_x=1 $page/)"
holds 'cache: not for a POST' not is "$(get -d a=1 $page/)" "$(get -d a=1 $page/)"
holds 'site: an upload is no program' is "$(get -o /dev/null -w '%{http_code}' $page/uploads/evil.php)" 403
holds 'site: hidden files stay hidden' is "$(get -o /dev/null -w '%{http_code}' $page/.git/config)" 403
holds 'php: no programs, no messages, nothing outside' is "$(get $page/tries.php)" no
login_limited() {
    for _ in $(seq 12); do get -o /dev/null -w '%{http_code}\n' $page/wp-login.php; done | grep -q 429
}
holds 'site: logins are limited' login_limited
remove_site > /dev/null 2>&1
holds 'site: can be removed again' not ls $root

holds 'page: the default server has the headers' sh -c "curl -sI $page/ | grep -qi 'x-frame-options: sameorigin'"
holds 'page: health' curl -sf -o /dev/null $page/nodeyard-health
holds 'php: Debian'"'"'s pool is gone' not ls /etc/php/8.4/fpm/pool.d/www.conf
for jail in nginx-http-auth nginx-limit-req nginx-botsearch; do
    holds "fail2ban: $jail" fail2ban-client status $jail
done
holds 'certbot: its timer waits' systemctl is-active certbot.timer
holds 'certbot: nothing was asked for' sh -c '! ls /etc/letsencrypt/live /etc/letsencrypt/accounts 2> /dev/null | grep -q .'
challenge() {
    install -D -m 0644 /dev/stdin /var/www/acme/.well-known/acme-challenge/probe <<< token &&
        [ "$(curl -s $page/.well-known/acme-challenge/probe)" = token ]
    answered=$?
    rm -rf /var/www/acme/.well-known
    return $answered
}
holds 'certbot: a challenge would be answered' challenge
holds 'apache: not here' not dpkg-query -W apache2 libapache2-mod-php8.4
holds 'apache: WordPress would not bring it' not sh -c 'apt-get install --simulate --no-install-recommends wordpress | grep -q "^Inst .*apache"'
