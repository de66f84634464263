/* Mish (arXiv:1908.08681) and its derivative in one pass over memory; see mish.py for the formulas.
 *
 * Rows and columns are those of a contiguous matrix. Compilers vectorise each inner loop. */

#include <stdint.h>
#include <string.h>

/* exp(x) for x in [-87, 44] with a relative error of about 1e-7: a power of two times a polynomial
 * of the remainder (the coefficients are those of Cephes' expf). */
static inline float exp_of(float x) {
    const float log2_e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    float k = __builtin_rintf(x * log2_e);
    float r = (x - k * ln2_high) - k * ln2_low;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t exponent = ((int32_t)k + 127) << 23;
    float scale;
    memcpy(&scale, &exponent, sizeof scale);
    return p * scale;
}

static inline float bounded(float x) {
    float below = x > 44.0f ? 44.0f : x;
    return below < -87.0f ? -87.0f : below;
}

/* exp(x), exactly 0 far below, and not more than exp(44), where the factor t below is 1 already */
static inline float bounded_exp_of(float x) { return x < -87.0f ? 0.0f : exp_of(bounded(x)); }

/* z := Mish(z + bias); no bias where the pointer is null */
void mish_value(float *restrict z, const float *restrict bias, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++, z += columns)
        for (int64_t j = 0; j < columns; j++) {
            float x = bias ? z[j] + bias[j] : z[j];
            float u = bounded_exp_of(x), h = u + 0.5f * u * u, inverse = 1.0f / (h + 1.0f);
            z[j] = x * (x > 20.0f ? 1.0f : h * inverse);
        }
}

/* z := Mish(z + bias), derivative := Mish'(z + bias); the value has the same bits as above */
void mish_value_and_derivative(float *restrict z, const float *restrict bias,
                               float *restrict derivative, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i++, z += columns, derivative += columns)
        for (int64_t j = 0; j < columns; j++) {
            float x = bias ? z[j] + bias[j] : z[j], b = bounded(x);
            float u = bounded_exp_of(x), h = u + 0.5f * u * u, inverse = 1.0f / (h + 1.0f);
            float t = x > 20.0f ? 1.0f : h * inverse;
            z[j] = x * t;
            derivative[j] = t + 2.0f * b * (t - 0.5f * u * inverse) * inverse;
        }
}

/* of_z := of_value * derivative, of_bias := the sum of its rows */
void mish_backward(const float *restrict of_value, const float *restrict derivative,
                   float *restrict of_z, float *restrict of_bias, int64_t rows, int64_t columns) {
    memset(of_bias, 0, columns * sizeof *of_bias);
    for (int64_t i = 0; i < rows; i++, of_value += columns, derivative += columns, of_z += columns)
        for (int64_t j = 0; j < columns; j++) {
            of_z[j] = of_value[j] * derivative[j];
            of_bias[j] += of_z[j];
        }
}
