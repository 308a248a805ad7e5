"""Believable texts: the same seed makes the same texts."""

from random import Random

from bugtracker.seeding import words


class Texts:
    """A source of titles, descriptions and comments."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def title(self) -> str:
        """What is wrong, on one line."""
        pick = self._random.choice
        return f"{pick(words.PARTS)} {pick(words.SYMPTOMS)} {pick(words.CONDITIONS)}"

    def description(self, title: str) -> str:
        """A report in Markdown, some with steps, some with a piece of log."""
        random = self._random
        lines = [f"{title}. Seen {random.randint(2, 40)} times this week."]
        if random.random() < 0.7:
            steps = random.sample(words.STEPS, random.randint(2, 4))
            lines.append("\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1)))
        if random.random() < 0.4:
            lines.append(random.choice(words.SNIPPETS))
        lines.append(f"**Expected:** {random.choice(words.EXPECTATIONS)}")
        return "\n\n".join(lines)

    def comment(self) -> str:
        """A remark of one to three sentences."""
        return " ".join(self._random.sample(words.REMARKS, self._random.randint(1, 3)))

    def names(self, count: int) -> list[str]:
        """Different full names."""
        firsts, lasts = words.FIRST_NAMES.split(), words.LAST_NAMES.split()
        picked = self._random.sample(range(len(firsts) * len(lasts)), count)
        return [f"{firsts[n % len(firsts)]} {lasts[n // len(firsts)]}" for n in picked]
