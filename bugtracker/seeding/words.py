"""What made-up issues are made of."""

FIRST_NAMES = (
    "Ada Alan Amara Anders Anna Arjun Beatriz Bilal Carlos Chen Clara Daniel Deepa Diego Elena "
    "Emeka Erik Fatima Felix Grace Hana Hugo Ines Ivan Jana Jonas Kavya Kenji Lars Leila Linus "
    "Lucia Maja Marek Mei Mina Nadia Niels Nora Omar Oskar Paula Priya Rafael Rosa Samir Sofia "
    "Tariq Tomas Vera Wanda Yusuf Zoe"
)

LAST_NAMES = (
    "Adler Almeida Bakker Banerjee Berg Castro Chandra Cohen Costa Dahl Diaz Eriksen Fischer "
    "Fontaine Garcia Haddad Hansen Ito Iyer Jansen Kaya Keller Kim Kovacs Larsen Lindqvist Lopez "
    "Mehta Moreau Nakamura Nguyen Novak Okafor Olsen Patel Petrov Rao Rossi Santos Sato Schmidt "
    "Silva Singh Sokolov Suzuki Tanaka Vargas Weber Yilmaz Zhang"
)

PROJECTS = (
    ("Tidal Library System", "Catalogue and loans of the tidal archive."),
    ("Harbour Billing", "Invoices, payments and reminders."),
    ("Lighthouse Monitoring", "Metrics, alerts and the on-call rota."),
    ("Ferry Booking", "Seats, cabins and vehicles, on the web and at the counter."),
    ("Chart Room", "Maps and routes for the bridge."),
    ("Crew Portal", "Shifts, leave and certificates."),
    ("Cargo Exchange", "Messages between shippers, customs and terminals."),
    ("Dockside Mobile", "The app for those who work on the quay."),
    ("Storm Notifications", "Mail, text messages and push in bad weather."),
    ("Anchor Identity", "Accounts, roles and single sign-on for all our systems."),
)

PARTS = (
    "Login page",
    "Search",
    "Export to CSV",
    "Invoice preview",
    "Calendar",
    "Reminder mail",
    "File upload",
    "Map view",
    "Booking form",
    "Password reset",
    "Dashboard",
    "Permission check",
    "Nightly job",
    "Import of legacy data",
    "Public API",
    "Webhook delivery",
    "Notification centre",
    "Shift planner",
    "Barcode scanner",
    "Report generator",
    "Audit log",
    "Language switch",
    "Payment callback",
    "Session handling",
)

SYMPTOMS = (
    "times out",
    "shows the wrong total",
    "loses the last change",
    "sends duplicates",
    "ignores the time zone",
    "crashes",
    "answers 500 instead of 404",
    "forgets the filter",
    "uses too much memory",
    "is slow",
    "shows raw HTML",
    "accepts an empty name",
    "cuts off long titles",
    "breaks the layout on phones",
    "sorts by text instead of by date",
    "does not respect the role",
    "leaves a lock behind",
    "returns stale data",
    "refuses valid addresses",
    "hides the error message",
)

CONDITIONS = (
    "after a long session",
    "with more than 1000 rows",
    "when two people save at once",
    "in Safari",
    "behind the proxy",
    "for users without a display name",
    "on the first of the month",
    "after the last release",
    "when the network drops",
    "with umlauts in the file name",
    "during daylight saving changes",
    "for archived projects",
    "with two-factor login",
    "on a cold cache",
)

STEPS = (
    "Log in as a developer",
    "Open the page in a second tab",
    "Filter by this month",
    "Save without changing anything",
    "Reload",
    "Switch the language to German",
    "Pull the network cable for ten seconds",
    "Press Enter twice, quickly",
    "Choose the largest customer",
    "Go back with the browser's button",
)

EXPECTATIONS = (
    "The page should say what is wrong and keep what was typed.",
    "It should take less than a second, as it did before.",
    "Exactly one message should be sent.",
    "The numbers should match those of the monthly report.",
    "Nobody without the right should see this at all.",
    "The change should be visible to the others at once.",
)

SNIPPETS = (
    "```\nERROR worker: deadline exceeded after 30.0 s\n```",
    "```python\nassert total == sum(row.amount for row in rows)\n```",
    "```\nGET /api/items?sort=-date -> 500 (1.8 s)\n```",
    "```sql\nSELECT count(*) FROM loans WHERE returned_at IS NULL;\n```",
    '```json\n{"status": "pending", "retries": 7}\n```',
)

REMARKS = (
    "I can reproduce this on staging.",
    "Not reproducible here; which version was that?",
    "This started with the last deployment.",
    "Two more customers reported it today.",
    "A workaround: clear the cache and log in again.",
    "The root cause is a missing index; a fix is under way.",
    "Fixed in the branch, review is welcome.",
    "Deployed to staging, please have a look.",
    "Confirmed, works for me now.",
    "Let us do this after the release.",
    "The log has nothing about it, so I have added a line where it matters.",
    "I would rather solve the general case than this one.",
    "Could somebody from the harbour try it with real data?",
    "Tests are in; they fail without the change.",
)
