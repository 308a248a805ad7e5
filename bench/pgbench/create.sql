-- A new issue of the project, with the next number.
BEGIN;
UPDATE projects SET last_issue_number = last_issue_number + 1
WHERE org_id = :org::uuid AND id = :project::uuid AND NOT is_archived
RETURNING last_issue_number \gset
INSERT INTO issues (org_id, id, project_id, number, title, description, status, priority,
    reporter_id, assignee_id, due_date, created_at, updated_at, version)
VALUES (:org::uuid, gen_random_uuid(), :project::uuid, :last_issue_number, 'Reported by pgbench',
    'It happens **always**.', 0, 1, :person::uuid, NULL, NULL, now(), now(), 1);
COMMIT;
