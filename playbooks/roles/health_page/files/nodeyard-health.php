<?php
// Proves that PHP-FPM, MariaDB and Redis work together, by using each. 200 if all do, else 503.
// Says nothing but which one failed: the page is open to everybody.
declare(strict_types=1);

function mariadb_answers(): bool
{
    mysqli_report(MYSQLI_REPORT_OFF);
    $db = mysqli_init();
    $db->options(MYSQLI_OPT_CONNECT_TIMEOUT, 2);
    $db->options(MYSQLI_OPT_READ_TIMEOUT, 2);
    if (!@$db->real_connect('localhost', 'nodeyard-health', '', 'nodeyard_health', 0, '/run/mysqld/mysqld.sock')) {
        return false;
    }
    $rows = $db->query('SELECT word FROM marker WHERE id = 1');
    return $rows !== false && $rows->fetch_row() === ['ready'];
}

function redis_answers(): bool
{
    $redis = @stream_socket_client('unix:///run/redis/redis-server.sock', timeout: 2);
    if ($redis === false) {
        return false;
    }
    stream_set_timeout($redis, 2);
    fwrite($redis, "PING\r\n");
    return fgets($redis, 64) === "+PONG\r\n";
}

$checks = ['php_fpm' => true, 'mariadb' => mariadb_answers(), 'redis' => redis_answers()];
$healthy = !in_array(false, $checks, true);

http_response_code($healthy ? 200 : 503);
header('Content-Type: application/json');
header('Cache-Control: no-store');
echo json_encode([
    'status' => $healthy ? 'ok' : 'unavailable',
    'node' => $_SERVER['NODEYARD_NODE'] ?? '',
    'checks' => $checks,
]), "\n";
