// A day of a team, for k6: everybody logs in once, then mostly reads, sometimes writes, and thinks
// in between. `make load` runs it against a server of its own.
import http from 'k6/http';
import { check, sleep } from 'k6';
import exec from 'k6/execution';

const API = __ENV.API;
const PASSWORD = __ENV.PASSWORD;
const PEOPLE = Number(__ENV.PEOPLE || 50);
const SECONDS = Number(__ENV.SECONDS || 180);
const JSON_BODY = { 'Content-Type': 'application/json' };

export const options = {
  scenarios: {
    day: {
      executor: 'ramping-vus',
      startVUs: 1,
      stages: [
        { duration: `${Math.round(SECONDS / 6)}s`, target: PEOPLE },
        { duration: `${Math.round(SECONDS / 1.5)}s`, target: PEOPLE },
        { duration: `${Math.round(SECONDS / 6)}s`, target: 0 },
      ],
    },
  },
  summaryTrendStats: ['med', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    // One in a thousand would already be somebody's lost comment.
    checks: ['rate>0.999'],
    http_req_failed: ['rate<0.001'],
    'http_req_duration{kind:read}': ['p(95)<200', 'p(99)<500'],
    'http_req_duration{kind:write}': ['p(95)<300', 'p(99)<800'],
  },
};

function tagged(name, kind, headers) {
  return { headers: headers || {}, tags: { name, kind } };
}

function logIn(email) {
  const body = JSON.stringify({ email, password: PASSWORD });
  const answer = http.post(`${API}/api/auth/login`, body, tagged('login', 'login', JSON_BODY));
  check(answer, { 'logged in': (r) => r.status === 200 });
  return { Authorization: `Bearer ${answer.json('access_token')}` };
}

// Once: who is there, and where they work.
export function setup() {
  const owner = logIn(__ENV.OWNER);
  const people = [];
  let cursor = null;
  do {
    const query = `fields=email,role&limit=100&filter=${encodeURIComponent('role==developer')}`;
    const next = cursor ? `&cursor=${encodeURIComponent(cursor)}` : '';
    const page = http.get(`${API}/api/users?${query}${next}`, tagged('setup', 'setup', owner)).json();
    people.push(...page.items.map((each) => each.email).filter(Boolean));
    cursor = page.next_cursor;
  } while (cursor);
  const projects = http.get(`${API}/api/projects?limit=50`, tagged('setup', 'setup', owner)).json();
  return { people, projects: projects.items.map((each) => each.id) };
}

let me = null;
const any = (list) => list[Math.floor(Math.random() * list.length)];
const WORDS = ['tide', 'login', 'export', 'crash', 'slow', 'cache', 'test', 'error', 'button'];

function read(name, path) {
  const answer = http.get(`${API}${path}`, tagged(name, 'read', me));
  check(answer, { 'read': (r) => r.status === 200 });
  return answer.json();
}

function write(name, method, path, body) {
  const answer = http.request(method, `${API}${path}`, JSON.stringify(body), tagged(name, 'write', {
    ...me, ...JSON_BODY,
  }));
  check(answer, { 'written': (r) => r.status === 200 || r.status === 201 });
  return answer.json();
}

function pause() {
  sleep(0.2 + Math.random());
}

// What somebody does in a minute or two.
export default function day(data) {
  if (me === null) me = logIn(data.people[exec.vu.idInTest % data.people.length]);
  const project = any(data.projects);
  const list = read('list', `/api/projects/${project}/issues?status=open&limit=20`);
  pause();
  if (list.items.length) {
    const issue = any(list.items);
    read('get', `/api/issues/${issue.key}`);
    read('comments', `/api/issues/${issue.key}/comments?limit=20`);
    pause();
    if (Math.random() < 0.4) {
      write('comment', 'POST', `/api/issues/${issue.key}/comments`, { content: 'Seen it, too.' });
    }
  }
  if (Math.random() < 0.5) read('search', `/api/search?q=${any(WORDS)}&limit=10`);
  pause();
  const mine = encodeURIComponent('assignee==me;priority>=high');
  read('filter', `/api/issues?filter=${mine}&limit=20`);
  pause();
  if (Math.random() < 0.3) {
    const title = `Found while testing ${Math.random().toString(36).slice(2)}`;
    const made = write('create', 'POST', `/api/projects/${project}/issues`, { title });
    pause();
    write('transition', 'PATCH', `/api/issues/${made.key}`, { status: 'in_progress' });
  }
  pause();
}
