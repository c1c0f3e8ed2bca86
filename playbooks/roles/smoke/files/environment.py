"""One WordPress on the node: a Linux user, a PHP-FPM pool, a database with a user, a folder and a server block of its
own, laid out as playbooks/README.md says. WordPress itself is Debian's and shared.
"""

import grp
import json
import os
import pathlib
import pwd
import secrets
import shutil
import stat

from commands import Failed, words_of

SITES = pathlib.Path("/var/www/sites")
POOLS = pathlib.Path("/etc/php/8.4/fpm/pool.d")
BLOCKS = pathlib.Path("/etc/nginx/sites-enabled")
CONFIGS = pathlib.Path("/etc/wordpress")
SOCKETS = pathlib.Path("/run/php")
CORE = pathlib.Path("/usr/share/wordpress")
THEME = "twentytwentyfive"
# Where Debian's package links to: PHP may read it all and write none of it.
SHARED = ["/usr/share/wordpress", "/usr/share/php", "/usr/share/javascript", "/etc/ssl/certs"]

POOL = """[{name}]
user = {name}
group = {name}
listen = {socket}
listen.owner = www-data
listen.group = www-data
listen.mode = 0600
pm = ondemand
pm.max_children = 2
pm.process_idle_timeout = 10s
request_terminate_timeout = 30s
php_admin_value[open_basedir] = {readable}
php_admin_value[sys_temp_dir] = {root}/tmp
php_admin_value[upload_tmp_dir] = {root}/tmp
"""

BLOCK = """server {{
    listen 80;
    listen [::]:80;
    server_name {host};
    root {root}/htdocs;
    set $nodeyard_site {name};
    include snippets/nodeyard-php.conf;
}}
"""

# No WP_HOME and no WP_SITEURL: where a site lives is in its database, which is what a clone has to change.
CONFIG = """<?php
define('DB_NAME', '{name}');
define('DB_USER', '{name}');
define('DB_PASSWORD', '{password}');
define('DB_HOST', 'localhost');
define('DB_CHARSET', 'utf8mb4');
define('WP_CONTENT_DIR', '{root}/htdocs/wp-content');
define('WP_DEFAULT_THEME', '{theme}');
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISALLOW_FILE_MODS', true);
{keys}
"""
KEYS = [f"{which}_{what}" for what in ("KEY", "SALT") for which in ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE")]


class Environment:
    def __init__(self, name, commands, programs):
        """`programs` are the PHP programs that are run as the site's user, by file name."""
        self.name, self.commands, self.programs = name, commands, programs
        # A name that no resolver knows (RFC 6761): nothing of this leaves the node.
        self.host = f"{name}.test"
        self.root = SITES / name
        self.content = self.root / "htdocs/wp-content"
        self.socket = SOCKETS / f"{name}.sock"
        self.config = CONFIGS / f"config-{self.host}.php"
        self.readable = ":".join([str(self.root), str(self.config), *SHARED])

    def make_user(self):
        place = ["--no-create-home", "--home-dir", str(self.root)]
        self.commands.run("useradd", "--system", "--user-group", *place, "--shell", "/usr/sbin/nologin", self.name)
        return f"uid {pwd.getpwnam(self.name).pw_uid}"

    def make_folders(self):
        """Core's files by links, content of its own: what is beside wp-content is Debian's, and read-only."""
        htdocs = self.root / "htdocs"
        for folder in (self.root, self.root / "tmp", self.root / "programs", htdocs):
            self.owned(folder)
        for entry in sorted(CORE.iterdir()):
            # wp-config.php is found beside wp-load.php, in CORE; readme.html only tells the version.
            if not entry.name.startswith(".") and entry.name not in ("wp-content", "wp-config.php", "readme.html"):
                (htdocs / entry.name).symlink_to(entry)
        for name, text in self.programs.items():
            self.write(self.root / "programs" / name, text, 0o640)

    def make_content(self):
        for folder in ("", "mu-plugins", "plugins", "themes", "uploads"):
            self.owned(self.content / folder)
        shutil.copytree(CORE / "wp-content/themes" / THEME, self.content / "themes" / THEME)
        self.write(self.content / "mu-plugins/quiet.php", self.programs["quiet.php"], 0o640)
        self.take_content()

    def copy_content(self, source):
        self.commands.run("cp", "--archive", "--no-target-directory", str(source.content), str(self.content))
        self.take_content()

    def take_content(self):
        self.commands.run("chown", "--recursive", "--no-dereference", f"{self.name}:www-data", str(self.content))

    def owned(self, folder):
        folder.mkdir()
        os.chown(folder, pwd.getpwnam(self.name).pw_uid, grp.getgrnam("www-data").gr_gid)
        folder.chmod(0o750)

    def write(self, path, text, mode):
        """For root to change and the site's group to read."""
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            os.fchown(file.fileno(), 0, grp.getgrnam(self.name).gr_gid)
            os.fchmod(file.fileno(), mode)
            file.write(text)

    def make_pool(self):
        place = {"name": self.name, "socket": self.socket, "root": self.root, "readable": self.readable}
        self.write(POOLS / f"{self.name}.conf", POOL.format(**place), 0o644)
        self.commands.run("php-fpm8.4", "--test")
        self.commands.run("systemctl", "reload", "php8.4-fpm")
        if not self.commands.waited(self.listens):
            raise Failed(f"PHP-FPM does not listen on {self.socket}")

    def listens(self):
        return self.socket.exists() and stat.S_ISSOCK(self.socket.stat().st_mode)

    def make_block(self):
        self.write(BLOCKS / f"{self.name}.conf", BLOCK.format(name=self.name, host=self.host, root=self.root), 0o644)
        self.commands.run("nginx", "-t")
        self.commands.run("systemctl", "reload", "nginx")

    def make_database(self):
        self.password = self.commands.secret()
        self.commands.sql(
            f"CREATE DATABASE `{self.name}` CHARACTER SET utf8mb4;\n"
            f"CREATE USER '{self.name}'@'localhost' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON `{self.name}`.* TO '{self.name}'@'localhost';\n"
        )

    def write_config(self):
        keys = "\n".join(f"define('{key}', '{self.commands.secret()}');" for key in KEYS)
        place = {"name": self.name, "password": self.password, "root": self.root, "theme": THEME}
        self.write(self.config, CONFIG.format(**place, keys=keys), 0o640)

    def play(self, program, **wanted):
        """Runs one of the PHP programs as the site's user, with the node's settings for sites, and gives back what it
        answers. WordPress tells of its faults on a page and with exit code 0: only an answer counts."""
        settings = ["-c", "/etc/php/8.4/fpm/php.ini", "-d", f"open_basedir={self.readable}"]
        words = ["runuser", "-u", self.name, "--", "php", *settings, str(self.root / "programs" / program)]
        given = json.dumps({"host": self.host, **wanted}).encode()
        # Debian's settings of the command line would be read in place of the hardened ones.
        hardened = {"PHP_INI_SCAN_DIR": "/etc/php/8.4/fpm/conf.d"}
        told = ["runuser", "-u", self.name, "--", "php", program]
        said = self.commands.run(*words, stdin=given, env=hardened, told=told).decode("utf-8", "replace")
        try:
            answer = json.loads(said)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Failed(f"no answer, but: {words_of(said) or 'nothing'}", self.commands.shown(told))
        return answer

    def dump(self, path):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            self.commands.run("mariadb-dump", "--single-transaction", self.name, target=file, timeout=120)

    def load(self, path):
        with open(path, "rb") as file:
            self.commands.run("mariadb", self.name, source=file, timeout=120)

    def random_marker(self, what):
        """Words that no other run has."""
        return f"{what}-{secrets.token_hex(8)}"
