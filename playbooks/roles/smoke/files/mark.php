<?php
// Adds a marker to a post.
declare(strict_types=1);

$wanted = json_decode((string) stream_get_contents(STDIN), true, 8, JSON_THROW_ON_ERROR);
$_SERVER['HTTP_HOST'] = $_SERVER['SERVER_NAME'] = $wanted['host'];
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD'] = 'GET';
$_SERVER['REQUEST_URI'] = '/';

require '/usr/share/wordpress/wp-load.php';

$before = get_post($wanted['post']);
if ($before === null) {
    exit('The post is not there.');
}
$post = wp_update_post(wp_slash([
    'ID' => $before->ID,
    'post_content' => $before->post_content . '<p>' . $wanted['marker'] . '</p>',
]), true);
if (is_wp_error($post)) {
    exit($post->get_error_message());
}
echo json_encode(['post' => $post]);
