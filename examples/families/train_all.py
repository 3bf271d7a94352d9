"""Train on every fluid with Gauss-Newton and with IBI, at the settings of config.yaml.

    python train_all.py [--out runs] [--seed 1] [--fluids mie ...] [--optimizers gauss-newton ibi]

Leaves runs in OUT/FLUID-OPTIMIZER for compare.py. Nothing but the target and the optimizer is
changed; IBI, whose steps are cheap but many, gets twice the iterations.
"""

import argparse
from pathlib import Path

import yaml
from fluids import FLUIDS

from diffsim.config.schema import load_config
from diffsim.run.training import run_training

HERE = Path(__file__).parent
ITERATIONS = {"gauss-newton": 1, "ibi": 2}  # factors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fluids", nargs="+", choices=FLUIDS, default=list(FLUIDS))
    parser.add_argument("--optimizers", nargs="+", choices=ITERATIONS, default=list(ITERATIONS))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for fluid in arguments.fluids:
        for optimizer in arguments.optimizers:
            config = yaml.safe_load((HERE / "config.yaml").read_text())
            system = config["systems"][0]
            system["script"] = str(HERE.absolute() / system["script"])
            system["targets"][0]["rdf"] = str(HERE.absolute() / f"{fluid}.csv")
            config["optimizer"] = optimizer
            config["iterations"] *= ITERATIONS[optimizer]
            config["seed"] = arguments.seed
            written = arguments.out / f"{fluid}-{optimizer}.yaml"
            written.write_text(yaml.safe_dump(config))
            run_training(load_config(written), arguments.out / f"{fluid}-{optimizer}", resume=False)


if __name__ == "__main__":
    main()
