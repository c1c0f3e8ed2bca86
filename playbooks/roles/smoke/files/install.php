<?php
// Installs WordPress where its configuration says.
declare(strict_types=1);

$wanted = json_decode((string) stream_get_contents(STDIN), true, 8, JSON_THROW_ON_ERROR);
$_SERVER['HTTP_HOST'] = $_SERVER['SERVER_NAME'] = $wanted['host'];
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI'] = '/';
define('WP_INSTALLING', true);
// Only here: WordPress cannot guess it without a server, and from now on it is in the database.
define('WP_SITEURL', 'http://' . $wanted['host']);

require '/usr/share/wordpress/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';

$made = wp_install('Smoke', 'smoke', 'smoke@' . $wanted['host'], false, '', wp_slash($wanted['password']));
echo json_encode(['user' => $made['user_id']]);
