"""Lines of verdicts as `fedad inspect` writes them, of a plant that is made up."""

from datetime import date, timedelta

import numpy as np

START = date(2026, 3, 2)
GOOD = 30  # parts that thresholds rest on


def rows(
    days=40, parts=12, products=("bolt", "hose", "clip"), *, seed=0, site="", change=None, model="a"
):
    """A row a picture. `change(product, day)` -> factors of distance, brightness and sharpness."""
    rng, made = np.random.default_rng(seed), []
    known = {name: np.sort(rng.normal(0, 0.15, GOOD)) for name in products}
    for day in range(days):
        weather = rng.normal(0, 0.005, 2)
        for name in products:
            far, grey, sharp = change(name, day) if change else (1, 1, 1)
            for number in range(parts):
                distance = rng.normal(0, 0.15) + np.log(far)
                above = GOOD - np.searchsorted(known[name], distance)
                made.append(
                    {
                        "image": f"{day}-{number}.png",
                        "product": name,
                        "site": site,
                        "verdict": "OK",
                        "p_value": (1 + int(above)) / (GOOD + 1),
                        "good_parts": GOOD,
                        "score": float(np.exp(distance)),
                        "nearest_distance": float(np.exp(distance)),
                        "grey": float(90 * grey * np.exp(weather[0] + rng.normal(0, 0.04))),
                        "sharpness": float(0.4 * sharp * np.exp(weather[1] + rng.normal(0, 0.05))),
                        "model": model,
                        "time": f"{START + timedelta(day)}T08:{number:02d}:00+00:00",
                    }
                )
    return made


def from_day(start, **of_product):
    """A change of some products, or of all (`every`), from a day on."""

    def change(name, day):
        return (
            of_product.get(name, of_product.get("every", (1, 1, 1))) if day >= start else (1, 1, 1)
        )

    return change
