"""The page's style sheet: light and dark, narrow and wide, screen and paper."""

from fedad.reporting.drawing import DARK, LIGHT, variables

SHADES = 6  # of a heat table's cells
DEEPEST = 0.4  # share of the accent in the deepest one: text stays readable on it


def shades(colours: dict[str, str]) -> dict[str, str]:
    """`heat0` to `heat5`: from the paper towards the accent."""
    paper, accent = (_channels(colours[name]) for name in ("paper", "c0"))
    found = {}
    for k in range(SHADES):
        share = DEEPEST * k / (SHADES - 1)
        mixed = (round(p + share * (a - p)) for p, a in zip(paper, accent, strict=True))
        found[f"heat{k}"] = "#" + "".join(f"{channel:02x}" for channel in mixed)
    return found


def _channels(colour: str) -> tuple[int, ...]:
    """Red, green and blue of `#rrggbb`, 0 to 255."""
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


_LIGHT, _DARK = (variables(c | shades(c)) for c in (LIGHT, DARK))
_HEAT = "".join(f".heat td.heat-{k}{{background:var(--heat{k})}}\n" for k in range(SHADES))
STYLE = (
    f"""
:root{{color-scheme:light;{_LIGHT}}}
@media (prefers-color-scheme:dark){{
 :root:not([data-theme=light]){{color-scheme:dark;{_DARK}}}}}
:root[data-theme=dark]{{color-scheme:dark;{_DARK}}}
.heat td{{padding:4px 8px}}
{_HEAT}"""
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:1.7rem;margin:0 0 4px}
h2{font-size:1.25rem;margin:2.4em 0 .5em;padding-top:.6em;border-top:1px solid var(--grid)}
section:first-child h2{margin-top:.4em;border-top:0}
h3{font-size:1.02rem;margin:1.6em 0 .4em}
p{max-width:75ch;margin:.5em 0}
a{color:var(--c0)}
.soft,caption,.note{color:var(--soft)}
.warning{border-left:4px solid var(--c1);padding:.2em .8em;background:var(--band)}
nav{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--grid)}
nav div{max-width:1120px;margin:0 auto;padding:8px 20px;display:flex;flex-wrap:wrap;gap:2px 14px;
 align-items:center}
nav a{text-decoration:none;font-size:.9rem;white-space:nowrap}
nav button{margin-left:auto}
button,select{font:inherit;font-size:.85rem;color:var(--ink);background:var(--band);
 border:1px solid var(--grid);border-radius:6px;padding:2px 10px;cursor:pointer}
button:focus-visible,select:focus-visible,[tabindex]:focus-visible,input:focus-visible,
summary:focus-visible,a:focus-visible{outline:2px solid var(--c0);outline-offset:2px}
.scroll{overflow-x:auto;background:linear-gradient(90deg,var(--paper) 24px,#0000),
 linear-gradient(270deg,var(--paper) 24px,#0000) 100% 0,
 linear-gradient(90deg,var(--soft),#0000 10px),
 linear-gradient(270deg,var(--soft),#0000 10px) 100% 0;
 background-size:40px 100%,40px 100%,10px 100%,10px 100%;background-repeat:no-repeat;
 background-attachment:local,local,scroll,scroll}
table{border-collapse:collapse;margin:.6em 0;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:2px 0 6px;font-size:.85rem;max-width:min(80ch,calc(100vw - 7rem))}
th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--grid);text-align:right;
 vertical-align:top;white-space:nowrap}
thead th{color:var(--soft);font-weight:600;white-space:normal;vertical-align:bottom}
th:first-child,tbody th{text-align:left;font-weight:500}
td.words,th.words{text-align:left}
td.words{white-space:normal;overflow-wrap:anywhere}
td small{display:block;color:var(--soft);font-size:.78rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:10px;margin:.8em 0}
.tile{background:var(--band);border-radius:10px;padding:8px 14px}
.tile b{display:block;font-size:1.45rem;line-height:1.25}
.tile span{font-size:.82rem;color:var(--soft)}
.tile small{display:block;font-size:.78rem;color:var(--soft)}
section{scroll-margin-top:76px}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr));
 gap:8px 28px;align-items:start}
.plots.thirds{grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr))}
figure{margin:.6em 0;min-width:0}
figure svg{max-width:100%;height:auto;display:block}
figcaption{font-size:.85rem;color:var(--soft)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(440px,100%),1fr));gap:14px}
.gallery figure{margin:0;max-width:none}
.gallery img{width:100%;height:auto;border:1px solid var(--grid);border-radius:4px;background:#fff}
.badge{display:inline-block;padding:0 8px;border-radius:9px;background:var(--band);color:var(--ink)}
.badge.right{box-shadow:inset 0 0 0 1px var(--c2)}
.badge.wrong{box-shadow:inset 0 0 0 2px var(--c1)}
.command{display:flex;gap:8px;align-items:flex-start;margin:.3em 0}
.command code{background:var(--band);padding:4px 8px;border-radius:6px;font-size:.78rem;
 overflow-wrap:anywhere;flex:1}
.slide{display:flex;flex-wrap:wrap;gap:6px 14px;align-items:center;font-size:.9rem}
.slide input{flex:1 1 220px;accent-color:var(--c0)}
.slide output{font-variant-numeric:tabular-nums;font-weight:600}
.matrix td{text-align:center;padding:5px 10px}
details{margin:.6em 0}
summary{cursor:pointer;color:var(--c0)}
.tip{position:fixed;z-index:3;max-width:460px;background:var(--paper);color:var(--ink);
 border:1px solid var(--soft);border-radius:8px;padding:8px 12px;font-size:.82rem;
 box-shadow:0 4px 18px #0005;pointer-events:none;overflow-wrap:anywhere}
.tip[hidden]{display:none}
.tip code{display:block;margin-top:4px;font-size:.74rem;color:var(--soft)}
@media (max-width:640px){.gallery{grid-template-columns:1fr}nav{position:static}}
@media print{
 :root,:root:not([data-theme=light]){color-scheme:light;"""
    + _LIGHT
    + """}
 nav,.tip,.copy,.slide input,.slide select,.slide button{display:none}
 header,main{max-width:none;padding:0}
 body{font-size:11px}
 h2{break-after:avoid}
 figure,tr,.tile{break-inside:avoid}
 .scroll{overflow:visible}
 th,td{white-space:normal}
 details>*{display:block}
}
"""
)
