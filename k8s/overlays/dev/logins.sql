-- Run once, by the image of PostgreSQL: the API's login. Migrations grant it the API's role.
CREATE ROLE bugtracker_api LOGIN PASSWORD 'development';
