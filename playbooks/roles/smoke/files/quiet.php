<?php
// A must-use plugin: whatever WordPress and its plugins try, nothing leaves the node.
add_filter('pre_http_request', fn () => new WP_Error('smoke', 'No outbound HTTP.'));
add_filter('pre_wp_mail', '__return_true');
// An option that is an array is kept serialized: each page shows whether it can still be read.
add_filter('the_content', function (string $content): string {
    $kept = get_option('smoke_kept');
    return $content . '<p>' . esc_html($kept['deep'][0]['url'] ?? 'what was kept cannot be read') . '</p>';
});
