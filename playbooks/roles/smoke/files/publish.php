<?php
// Publishes a post, keeps a URL in an array and puts a file beside: what a site is afterwards known by.
declare(strict_types=1);

$wanted = json_decode((string) stream_get_contents(STDIN), true, 8, JSON_THROW_ON_ERROR);
$_SERVER['HTTP_HOST'] = $_SERVER['SERVER_NAME'] = $wanted['host'];
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI'] = '/';

require '/usr/share/wordpress/wp-load.php';

$wp_rewrite->set_permalink_structure('/%postname%/');
$wp_rewrite->flush_rules(false);
update_option('smoke_kept', ['deep' => [['url' => home_url('/kept-in-an-array/')]]]);
file_put_contents(WP_CONTENT_DIR . '/uploads/smoke.txt', $wanted['marker']);
$post = wp_insert_post(wp_slash([
    'post_title' => 'Smoke',
    'post_name' => 'smoke',
    'post_status' => 'publish',
    'post_author' => 1,
    'post_content' => '<p>' . $wanted['marker'] . ' <a href="' . home_url('/elsewhere/') . '">elsewhere</a></p>',
]), true);
if (is_wp_error($post)) {
    exit($post->get_error_message());
}
echo json_encode(['post' => $post]);
