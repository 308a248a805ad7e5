-- A new issue of any project, with its next number. In one project only they would all wait for it.
\set which random(1, 10)
BEGIN;
UPDATE projects SET last_issue_number = last_issue_number + 1
WHERE org_id = :org::uuid AND id = (string_to_array(:projects, ',')::uuid[])[:which]
  AND NOT is_archived
RETURNING id AS chosen, last_issue_number \gset
INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
    reporter_id, assignee_id, due_date, created_at, updated_at, version)
VALUES (:org::uuid, gen_random_uuid(), :chosen::uuid, :last_issue_number, 'Reported by pgbench',
    'It happens **always**.', 0, 1, :person::uuid, NULL, NULL, now(), now(), 1);
COMMIT;
