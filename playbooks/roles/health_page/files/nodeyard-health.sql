-- A user that can log in as its Linux user only, over the unix socket, and read one table.
CREATE DATABASE IF NOT EXISTS nodeyard_health;
CREATE TABLE IF NOT EXISTS nodeyard_health.marker (id INT PRIMARY KEY, word VARCHAR(16) NOT NULL) ENGINE=InnoDB;
REPLACE INTO nodeyard_health.marker VALUES (1, 'ready');
DROP USER IF EXISTS 'nodeyard-health'@'localhost';
CREATE USER 'nodeyard-health'@'localhost' IDENTIFIED VIA unix_socket WITH MAX_USER_CONNECTIONS 4;
GRANT SELECT ON nodeyard_health.marker TO 'nodeyard-health'@'localhost';
