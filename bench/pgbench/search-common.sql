-- The best matches of a common word in a project.
SELECT i.id, p.key, i.number, i.project_id, i.title, i.description, i.status, i.priority,
    i.reporter_id, i.assignee_id, i.due_date, i.created_at, i.updated_at, i.version,
    (ts_rank(d.document, q.words) * 1000000)::integer AS rank
FROM (SELECT websearch_to_tsquery('english', :word) AS words) q, issue_documents d
JOIN issues i ON i.org_id = d.org_id AND i.id = d.issue_id
JOIN projects p ON p.org_id = i.org_id AND p.id = i.project_id
WHERE d.org_id = :org::uuid AND d.project_id = :project::uuid
  AND d.document @@ (q.words && format('''o:%s''', :org::uuid)::tsquery
                     && format('''p:%s''', :project::uuid)::tsquery)
ORDER BY rank DESC, i.id DESC LIMIT 21;
