-- The first page of a filtered list, and whether the caller may see it.
\set status random(0, 3)
\set priority random(0, 2)
SELECT i.id, p.key, i.number, i.project_id, i.title, i.description, i.status, i.priority,
    i.reporter_id, i.assignee_id, i.due_date, i.created_at, i.updated_at, i.version
FROM issues i JOIN projects p ON p.org_id = i.org_id AND p.id = i.project_id
WHERE i.org_id = :org::uuid AND i.project_id = :project::uuid
  AND i.status = :status::smallint AND i.priority = :priority::smallint
  AND EXISTS (SELECT FROM sessions s
              JOIN accounts a ON a.id = s.account_id
              JOIN members m ON m.account_id = a.id AND m.org_id = :org::uuid AND m.removed_at IS NULL
              WHERE s.id = :session::uuid AND s.revoked_at IS NULL AND s.expires_at > now()
                AND a.is_active)
ORDER BY i.created_at DESC, i.id DESC LIMIT 21;
