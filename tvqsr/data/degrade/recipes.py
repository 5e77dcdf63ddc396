"""The published degradations, each value with its source.

[RE] options/train_realesrgan_x4plus.yml of Real-ESRGAN (arXiv 2107.10833, section 3), its released data set and model.
[AESOP] options/train/AESOP/train_RealWorld_AESOP.yml of AESOP's released code. [YAML] options/TVQRAP_stage2.yml of
TVQ&RAP's; UPSR's YAML has the same numbers. [RS] configs/degradation_testing_realesrgan.yaml of ResShift and its
released data set, which made ImageNet-Test. BSRGAN's are in `bsrgan.py`.
"""

from __future__ import annotations

from dataclasses import replace

from tvqsr.data.degrade.bsrgan import BSRGAN, BSRGAN_PLUS
from tvqsr.data.degrade.chain import ChainRecipe
from tvqsr.data.degrade.recipe import BlurRecipe, NoiseRecipe, Recipe, ResizeRecipe, StageRecipe


def _odd(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1, 2))


_TRAINING_KINDS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)

REALESRGAN = Recipe(
    scales=(2, 4),  # [RE] train_realesrgan_x2plus.yml and _x4plus.yml have the same numbers
    sharpen=True,  # [RE]
    first=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(7, 21),  # [RE] kernel_range of the code
            kinds=_TRAINING_KINDS,  # [RE] kernel_prob
            sinc_probability=0.1,  # [RE] sinc_prob
            sigma=(0.2, 3.0),  # [RE] blur_sigma
            beta_generalized=(0.5, 4.0),  # [RE] betag_range
            beta_plateau=(1.0, 2.0),  # [RE] betap_range
        ),
        blur_probability=1.0,  # [RE], always
        resize=ResizeRecipe(up=0.2, down=0.7, keep=0.1, range=(0.15, 1.5)),  # [RE] resize_prob, resize_range
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [RE] gaussian_noise_prob
            sigma=(1.0, 30.0),  # [RE] noise_range
            poisson_scale=(0.05, 3.0),  # [RE] poisson_scale_range
            grey_probability=0.4,  # [RE] gray_noise_prob
        ),
    ),
    first_jpeg=(30.0, 95.0),  # [RE] jpeg_range
    second=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(7, 21),  # [RE] kernel_range of the code
            kinds=_TRAINING_KINDS,  # [RE] kernel_prob2
            sinc_probability=0.1,  # [RE] sinc_prob2
            sigma=(0.2, 1.5),  # [RE] blur_sigma2
            beta_generalized=(0.5, 4.0),  # [RE] betag_range2
            beta_plateau=(1.0, 2.0),  # [RE] betap_range2
        ),
        blur_probability=0.8,  # [RE] second_blur_prob
        resize=ResizeRecipe(up=0.3, down=0.4, keep=0.3, range=(0.3, 1.2)),  # [RE] resize_prob2, resize_range2
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [RE] gaussian_noise_prob2
            sigma=(1.0, 25.0),  # [RE] noise_range2
            poisson_scale=(0.05, 2.5),  # [RE] poisson_scale_range2
            grey_probability=0.4,  # [RE] gray_noise_prob2
        ),
    ),
    second_probability=1.0,  # [RE] always
    last_sinc_probability=0.8,  # [RE] final_sinc_prob
    last_sinc_sizes=_odd(7, 21),  # [RE]
    last_jpeg=(30.0, 95.0),  # [RE] jpeg_range2
)
"""Training of Real-ESRGAN."""

AESOP = replace(
    REALESRGAN,
    scales=(4,),
    first=replace(
        REALESRGAN.first,
        resize=replace(REALESRGAN.first.resize, range=(0.2, 1.5)),  # [AESOP] resize_range
        noise=replace(REALESRGAN.first.noise, poisson_scale=(0.05, 2.0)),  # [AESOP] poisson_scale_range
    ),
    first_jpeg=(50.0, 95.0),  # [AESOP] jpeg_range
    second=replace(
        REALESRGAN.second,
        noise=replace(
            REALESRGAN.second.noise, sigma=(1.0, 20.0), poisson_scale=(0.05, 2.0)
        ),  # [AESOP] noise_range2, ...
    ),
    last_jpeg=(50.0, 95.0),  # [AESOP] jpeg_range2
)
"""Training of AESOP's real-world model: Real-ESRGAN's, with milder shrinking, noise and JPEG."""

TVQRAP = replace(
    REALESRGAN,
    scales=(4,),
    second_probability=0.5,  # [YAML] second_order_prob
)
"""Training of TVQ&RAP's stages 2 and 3 and of UPSR: Real-ESRGAN's with half as many second stages.

All other numbers of [YAML] are Real-ESRGAN's but for `blur_kernel_size2: 15`, which the code does not read.
"""

_TEST_KINDS = (0.6, 0.4, 0.0, 0.0, 0.0, 0.0)

RESSHIFT_TEST = Recipe(
    scales=(4,),  # [RS] sf
    sharpen=False,  # [RS] degrades the plain HR
    first=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(3, 11),  # [RS]: blur_kernel_size: 13 is the end, left out, of the range of sizes
            kinds=_TEST_KINDS,  # [RS] kernel_prob
            sinc_probability=0.1,  # [RS] sinc_prob
            sigma=(0.2, 0.8),  # [RS] blur_sigma
            beta_generalized=(1.0, 1.5),  # [RS] betag_range
            beta_plateau=(1.0, 1.2),  # [RS] betap_range
        ),
        blur_probability=1.0,  # [RS], always
        resize=ResizeRecipe(up=0.2, down=0.7, keep=0.1, range=(0.5, 1.5)),  # [RS] resize_prob, resize_range
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [RS] gaussian_noise_prob
            sigma=(1.0, 15.0),  # [RS] noise_range
            poisson_scale=(0.05, 0.3),  # [RS] poisson_scale_range
            grey_probability=0.4,  # [RS] gray_noise_prob
        ),
    ),
    first_jpeg=(70.0, 95.0),  # [RS] jpeg_range
    second=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(3, 5),  # [RS]: blur_kernel_size2: 7 is left out likewise
            kinds=_TEST_KINDS,  # [RS] kernel_prob2
            sinc_probability=0.0,  # [RS] sinc_prob2
            sigma=(0.2, 0.5),  # [RS] blur_sigma2
            beta_generalized=(0.5, 0.8),  # [RS] betag_range2
            beta_plateau=(1.0, 1.2),  # [RS] betap_range2
        ),
        blur_probability=0.2,  # [RS] second_blur_prob
        resize=ResizeRecipe(up=0.3, down=0.4, keep=0.3, range=(0.8, 1.2)),  # [RS] resize_prob2, resize_range2
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [RS] gaussian_noise_prob2
            sigma=(1.0, 10.0),  # [RS] noise_range2
            poisson_scale=(0.05, 0.2),  # [RS] poisson_scale_range2
            grey_probability=0.4,  # [RS] gray_noise_prob2
        ),
    ),
    second_probability=0.0,  # [RS] second_order_prob
    last_sinc_probability=0.2,  # [RS] final_sinc_prob
    last_sinc_sizes=_odd(3, 5),  # [RS]
    last_jpeg=(80.0, 100.0),  # [RS] jpeg_range2
)
"""What made ImageNet-Test of ResShift, on which TVQ&RAP reports: milder than any training."""

RECIPES: dict[str, Recipe | ChainRecipe] = {
    "realesrgan": REALESRGAN,
    "aesop": AESOP,
    "tvqrap": TVQRAP,
    "resshift_test": RESSHIFT_TEST,
    "bsrgan": BSRGAN,
    "bsrgan_plus": BSRGAN_PLUS,
}
"""By the names of `tvqsr.plan.degradation`."""
