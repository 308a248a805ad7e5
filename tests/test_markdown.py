"""Rules of Markdown: what is stored of a text and what HTML is made of it."""

import pytest

from bugtracker.markdown import render, sanitise
from bugtracker.markdown.tags import REMOVED

UNCHANGED = {
    "empty": "",
    "line ends and spaces": "a\r\nb  \r\n\tc \n\n\n d\r",
    "comparisons": "a < b && c > d, x <= 3, 5<6, <- ->, cookie<0..2^16-1>",
    "web autolink": "see <https://x.y/z?a=1&b=2#c>",
    "mail autolink": "ask <jo.doe+bugs@example.org>",
    "other autolinks": "<urn:ietf:rfc:2648> <ftp://x.y> <tel:+12>",
    "entities": "&lt;script&gt; &amp; &#60;b&#62; &copy",
    "emoji and accents": "🙈 naïve “quoted” \u200d\ufeff",
    "links": "[a](https://x.y) [b](/rel/c.md) [c](#top) [d](mailto:a@b.c) ![e](https://x/y.png)",
    "reference": "[a][1] and [b]\n\n[1]: https://x.y 'title'\n[b]: <https://x.y>",
    "words that look like schemes": "[note]: data: see below\n\n[x](javascript.md) [y](database:x)",
    "harmless elements": "<kbd>Ctrl</kbd> H<sub>2</sub>O<br/>a<br />b <details open>\n\n</details>",
    "harmless attributes": '<td align="center" colspan=2> <a href="https://x.y" title=\'t\'>',
    "NUL": "a\0b",
    "lone surrogate": "a\ud800b",
}

CODE = {
    "span": "`<script>`",
    "double span": "`` <b onclick=x> ` ``",
    "span over lines": "a `<script>\nx</script>` b",
    "span in a quote over lines": "> a `<script>\n> x</script>` b",
    "lazy span": "> a `<script>\nx</script>` b",
    "span in a list": "- 1. `<img src=x onerror=alert(1)>`",
    "span in a heading": "# # `<script>` #",
    "span in an underlined heading": "a\n`<script>`\n===",
    "span in a link": "[`<script>`](https://x.y)",
    "span in an image": "![a ![`<script>`](b)](https://x.y)",
    "span in emphasis": "**a `<script>`** ~~`<svg>`~~",
    "span in a table": "| a `<b x=1>\\|` | `<s x=1>` |\n|---|---|\n| \\| `[](data:x)` | `<svg>` |",
    "span in a table in a quote": "> |a|\n> |-|\n> |`<script>`|",
    "span behind white space": "\xa0\x0b a `<script>`",
    "span after escaped backtick": "\\` `<script>`",
    "fence": "```html\n<script>alert(1)</script>\n```",
    "tilde fence": "~~~\n[x](javascript:alert(1))\n~~~",
    "unclosed fence": "```\n<script>",
    "fence in a quote in a list": "- a\n  > ```\n  > <script>\n  > ```\n  b",
    "fence on a list marker": "- ```\n  <script>\n  ```",
    "indented": "a\n\n    <script>\n\n\t<svg onload=x>\n\nb",
    "indented in a list": "-     <script>\n\n- a\n\n      <script>",
    "indented in a quote": ">     <script>",
    "CRLF": "a\r\n\r\n```\r\n<script>\r\n```\r\n\r\nb `<script>`\r\n\r\n    <svg>\r\n",
    "surrogate and NUL before": "\ud800\0 `<script>`",
    "between details": "<details>\n\n```\n<script>\n```\n\n</details>",
}

REMOVALS = [
    ("<script>alert(1)</script>hi", "hi"),
    ("a <SCRIPT src=x>b</SCRIPT > c", "a  c"),
    ("a <script> b", "a  b"),
    ("a <iframe src=x></iframe> b", "a  b"),
    ("<svg><a href=x>t</a></svg>", ""),
    ("a <style>b `c` d</style>", "a b `c` d"),
    ("a <svg/> b <svg></svg>", "a  b "),
    ("<form action=x>name</form>", "name"),
    ("a <!-- note --> b <!--> c <!---> d", "a  b  c  d"),
    ("a <?php x ?> b <!DOCTYPE html> c <![CDATA[ d ]]>", "a  b  c "),
    ("<xss onmouseover=alert(1)>", ""),
    ("<<x onclick=1>script>alert(1)</script>", "alert(1)"),
    ("<div>\n```\n<script>x</script>\n```\n</div>", "<div>\n```\n\n```\n</div>"),
    ("```<img src=x>\ncode\n```", "```\ncode\n```"),
]

ESCAPES = [
    ("List<String> and Vec<Vec<u8>>", "List&lt;String> and Vec&lt;Vec&lt;u8>>"),
    ("<extension_type> </extension_type>", "&lt;extension_type> &lt;/extension_type>"),
    ("<event name> <insert your name here>", "&lt;event name> &lt;insert your name here>"),
    ('<xref target="RFC9000"/>', '&lt;xref target="RFC9000"/>'),
    ("<svg/onload=alert(1)>", "&lt;svg/onload=alert(1)>"),
    ("<img src=x onerror=alert(1)//", "&lt;img src=x onerror=alert(1)//"),
    ("<!-- unclosed", "&lt;!-- unclosed"),
    ("<? x", "&lt;? x"),
    ("a <b\n\nc", "a &lt;b\n\nc"),
    ("\\<script> \\\\\\<b>", "&lt;script> \\\\&lt;b>"),
    ("<scr<script>ipt>x</scr</script>ipt>", "&lt;script>"),
    ("<https://x.y/onclick=alert(1)>", "&lt;https://x.y/onclick=alert(1)>"),
    ("<div>\n<https://x.y>\n</div>", "<div>\n&lt;https://x.y>\n</div>"),
    ('<b title="`"> `<i x=1>`', "<b> `<i>`"),
]

ATTRIBUTES = [
    ("<b onclick=x>y</b >", "<b>y</b >"),
    ("<td align=center onclick=x>", '<td align="center">'),
    ("<a href='https://x.y' id=z>", '<a href="https://x.y">'),
    ("<a href=javascript:alert(1)>", "<a>"),
    ("<a href='java&#115;cript:alert(1)'>", "<a>"),
    ("<a href=//evil.test>", "<a>"),
    ("<p style='x' class=y id=z name=n>", "<p>"),
    ("<code class=language-c++>", "<code>"),
    ('<code class="language-c++">', '<code class="language-c++">'),
    ('<i title="<script>">', '<i title="&lt;script&gt;">'),
    ('<i title="a`b">', "<i>"),
    ("<b\n>x</b\n>", "<b>x</b>"),
    ("<I TITLE=a\tonclick=b>", '<I title="a">'),
    ("<b title='\ud800' onclick=x>", '<b title="">'),
    ('<img width=9 src="https://x.y/a.png" alt="a shot">', "![a shot](https://x.y/a.png)"),
    ("<img src=https://x.y/a.png onerror=alert(1) alt='[x](y)'>", "![](https://x.y/a.png)"),
    ("<img src=x onerror=alert(1)>", ""),
]

LINKS = [
    ("[a](javascript:alert(1))", "[a](#)"),
    ("[a](JaVaScRiPt:alert(1) 'title')", "[a](# 'title')"),
    ("[a](<javascript:alert( 1 )>)", "[a](#)"),
    ("[a](<java script:x)", "[a](#)"),
    ("[a](&#106;avascript&colon;x)", "[a](#)"),
    ("[a](&#x00006A;avascript:x)", "[a](#)"),
    ("[a](java%0Ascript:x)", "[a](#)"),
    ("[a](java\\script\\:x)", "[a](#)"),
    ("[a](\njavascript:x\\)y)", "[a](\n#)"),
    ("> [a](\n> javascript:x)", "> [a](\n> #)"),
    ("[a](\x01javascript:x)", "[a](#)"),
    ("[a](vbscript:x) [b](file:///x) ![c](data:image/png;base64,x)", "[a](#) [b](#) ![c](#)"),
    ("[a]: javascript:x\n\n[a]", "[a]: #\n\n[a]"),
    ("> [a]:\n> <data:x> 't'", "> [a]:\n> # 't'"),
    ("<javascript:alert(1)> <DATA:x>", "<#> <#>"),
    ("[`code`](javascript:x)", "[`code`](#)"),
    ("[a](javascript:`x`)", "[a](#`x`)"),
    ("<div>\n```\n\n```\n[x](javascript:y)\n```", "<div>\n```\n\n```\n[x](#)\n```"),
    ("[a](&#99999999999;x) [b](&#1114112;x)", "[a](&#99999999999;x) [b](&#1114112;x)"),
]


def cases(table: dict[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("text", table.values(), ids=table.keys())


class TestSanitise:
    @cases(UNCHANGED)
    def test_text_without_anything_active_stays(self, text: str) -> None:
        assert sanitise(text) == text

    def test_plain_text_is_the_same_object(self) -> None:
        text = "Plain words, `code`, <https://x.y> and [a link](https://x.y).\n" * 50
        assert sanitise(text) is text

    @cases(CODE)
    def test_code_stays_byte_for_byte(self, text: str) -> None:
        assert sanitise(text) == text

    @cases(CODE)
    def test_code_stays_beside_something_active(self, text: str) -> None:
        # The active part stands last, in a block of its own, with the same kind of line ends.
        if text == CODE["unclosed fence"]:
            text += "\n```"
        assert sanitise(f"{text}\n\nz <b onclick=x>\n") == f"{text}\n\nz <b>\n"

    @pytest.mark.parametrize(("text", "stored"), REMOVALS)
    def test_active_html_is_removed(self, text: str, stored: str) -> None:
        assert sanitise(text) == stored

    @pytest.mark.parametrize(("text", "stored"), ESCAPES)
    def test_what_only_looks_like_a_tag_is_escaped(self, text: str, stored: str) -> None:
        assert sanitise(text) == stored

    @pytest.mark.parametrize(("text", "stored"), ATTRIBUTES)
    def test_attributes_are_cleaned(self, text: str, stored: str) -> None:
        assert sanitise(text) == stored

    @pytest.mark.parametrize(("text", "stored"), LINKS)
    def test_dangerous_destinations_are_replaced(self, text: str, stored: str) -> None:
        assert sanitise(text) == stored

    @pytest.mark.parametrize("name", sorted(REMOVED - {"img"}))
    def test_no_active_element_is_kept(self, name: str) -> None:
        assert name not in sanitise(f'a <{name} title="b"> c </{name}> d').lower()

    def test_tags_built_by_ever_new_removals_end_escaped(self) -> None:
        text = "`<b x=1>` " + "<" * 20 + "x onclick=1>" * 20 + "script>alert(1)</script>"
        stored = sanitise(text)
        assert stored.startswith("`<b x=1>` ")
        assert "<" not in stored.removeprefix("`<b x=1>`")
        assert sanitise(stored) == stored

    def test_code_that_escaping_would_turn_live_goes_too(self) -> None:
        # Without its autolink, the backtick in it begins a code span and so ends the next one.
        spinner = "<" * 20 + "x onclick=1>" * 20 + "script> "
        stored = sanitise(spinner + "<ftp://a`> `<b x=1>` [x](javascript:y)")
        assert "<" not in stored
        assert sanitise(stored) == stored


class TestRender:
    @pytest.mark.parametrize(
        ("text", "html"),
        [
            ("**a** ~~b~~ `c<d`", "<p><strong>a</strong> <s>b</s> <code>c&lt;d</code></p>\n"),
            ("<b onclick=x>", "<p>&lt;b onclick=x&gt;</p>\n"),
            ("```c++\n<x>\n```", '<pre><code class="language-c++">&lt;x&gt;\n</code></pre>\n'),
            ('```a"b\nx\n```', "<pre><code>x\n</code></pre>\n"),
            ("[a](javascript:x)", "<p>[a](javascript:x)</p>\n"),
            ("\ud800", "<p>\ufffd</p>\n"),
            ("3. a", '<ol start="3">\n<li>a</li>\n</ol>\n'),
        ],
    )
    def test_is_plain_html(self, text: str, html: str) -> None:
        assert render(text) == html

    def test_links_carry_rel_and_lose_relative_addresses(self) -> None:
        rel = 'rel="noopener noreferrer nofollow"'
        assert (
            render("[a](https://x.y 't')")
            == f'<p><a href="https://x.y" title="t" {rel}>a</a></p>\n'
        )
        assert render("[a](//x.y) [b](/x)") == f"<p><a {rel}>a</a> <a {rel}>b</a></p>\n"
        assert render("[a](ftp://x.y)") == f"<p><a {rel}>a</a></p>\n"

    def test_an_image_becomes_a_link(self) -> None:
        rel = 'rel="noopener noreferrer nofollow"'
        assert (
            render("![a <b>](https://x.y)")
            == f'<p><a href="https://x.y" {rel}>a &lt;b&gt;</a></p>\n'
        )
        assert render("![](https://x.y)") == f'<p><a href="https://x.y" {rel}>https://x.y</a></p>\n'
        assert render("[![a](https://x.y)](https://z.y)") == (
            f'<p><a href="https://z.y" {rel}>a</a></p>\n'
        )

    def test_cells_are_aligned_without_style(self) -> None:
        html = render("|a|b|\n|:-:|---|\n|c|d|")
        assert '<th align="center">a</th>' in html
        assert '<td align="center">c</td>' in html
        assert "style" not in html
