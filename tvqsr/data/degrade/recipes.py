"""The published degradations, each value with its source.

[YAML] options/TVQRAP_stage2.yml of TVQ&RAP's released code; UPSR's YAML has the same numbers. [TVQ] TVQ&RAP's released
data set and stage-2 model. [RS] configs/degradation_testing_realesrgan.yaml of ResShift and its released data set,
which made ImageNet-Test. BSRGAN's are in `bsrgan.py`.
"""

from __future__ import annotations

from tvqsr.data.degrade.bsrgan import BSRGAN, BSRGAN_PLUS
from tvqsr.data.degrade.chain import ChainRecipe
from tvqsr.data.degrade.recipe import BlurRecipe, NoiseRecipe, Recipe, ResizeRecipe, StageRecipe


def _odd(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1, 2))


_TRAINING_KINDS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)

REALESRGAN = Recipe(
    sharpen=True,  # [TVQ]
    first=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(7, 21),  # [TVQ], [YAML] blur_kernel_size: 21
            kinds=_TRAINING_KINDS,  # [YAML] kernel_prob
            sinc_probability=0.1,  # [YAML] sinc_prob
            sigma=(0.2, 3.0),  # [YAML] blur_sigma
            beta_generalized=(0.5, 4.0),  # [YAML] betag_range
            beta_plateau=(1.0, 2.0),  # [YAML] betap_range
        ),
        blur_probability=1.0,  # [TVQ], always
        resize=ResizeRecipe(up=0.2, down=0.7, keep=0.1, range=(0.15, 1.5)),  # [YAML] resize_prob, resize_range
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [YAML] gaussian_noise_prob
            sigma=(1.0, 30.0),  # [YAML] noise_range
            poisson_scale=(0.05, 3.0),  # [YAML] poisson_scale_range
            grey_probability=0.4,  # [YAML] gray_noise_prob
        ),
    ),
    first_jpeg=(30.0, 95.0),  # [YAML] jpeg_range
    second=StageRecipe(
        blur=BlurRecipe(
            sizes=_odd(7, 21),  # [TVQ]; [YAML] says blur_kernel_size2: 15, which the code does not read
            kinds=_TRAINING_KINDS,  # [YAML] kernel_prob2
            sinc_probability=0.1,  # [YAML] sinc_prob2
            sigma=(0.2, 1.5),  # [YAML] blur_sigma2
            beta_generalized=(0.5, 4.0),  # [YAML] betag_range2
            beta_plateau=(1.0, 2.0),  # [YAML] betap_range2
        ),
        blur_probability=0.8,  # [YAML] second_blur_prob
        resize=ResizeRecipe(up=0.3, down=0.4, keep=0.3, range=(0.3, 1.2)),  # [YAML] resize_prob2, resize_range2
        noise=NoiseRecipe(
            gaussian_probability=0.5,  # [YAML] gaussian_noise_prob2
            sigma=(1.0, 25.0),  # [YAML] noise_range2
            poisson_scale=(0.05, 2.5),  # [YAML] poisson_scale_range2
            grey_probability=0.4,  # [YAML] gray_noise_prob2
        ),
    ),
    second_probability=0.5,  # [YAML] second_order_prob
    last_sinc_probability=0.8,  # [YAML] final_sinc_prob
    last_sinc_sizes=_odd(7, 21),  # [TVQ]
    last_jpeg=(30.0, 95.0),  # [YAML] jpeg_range2
)
"""Training of TVQ&RAP's stages 2 and 3 and of UPSR: Real-ESRGAN's pipeline with half as many second stages."""

_TEST_KINDS = (0.6, 0.4, 0.0, 0.0, 0.0, 0.0)

RESSHIFT_TEST = Recipe(
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
    "resshift_test": RESSHIFT_TEST,
    "bsrgan": BSRGAN,
    "bsrgan_plus": BSRGAN_PLUS,
}
"""By the name that a preset gives."""
