-- The best matches of a common word in a project: of the newest thousand issues that have it.
SELECT i.id, p.key, i.number, i.project_id, i.title, i.description, i.status, i.priority,
    i.reporter_id, i.assignee_id, i.due_date, i.created_at, i.updated_at, i.version,
    (ts_rank(newest.document, newest.words) * 1000000)::integer AS rank
FROM (
    SELECT d.org_id, d.issue_id, d.document, q.words
    FROM (SELECT websearch_to_tsquery('english', :word) AS words) q, issue_documents d
    WHERE d.org_id = :org::uuid AND d.project_id = :project::uuid
      AND d.document @@ (q.words && format('''o:%s''', :org::uuid)::tsquery
                         && format('''p:%s''', :project::uuid)::tsquery)
    ORDER BY d.issue_id DESC LIMIT 1000
) newest
JOIN issues i ON i.org_id = newest.org_id AND i.id = newest.issue_id
JOIN projects p ON p.org_id = i.org_id AND p.id = i.project_id
ORDER BY rank DESC, i.id DESC LIMIT 21;
