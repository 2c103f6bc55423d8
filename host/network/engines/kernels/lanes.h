/* Vectors of 16, 8 or 4 float32: of FEAST_LANES if that is set, else of the widest kind that the compiler may use.
 *
 * A width without registers on the target is plain vector code: the compiler splits each vector.
 */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(FEAST_LANES)
#define LANES FEAST_LANES
#elif defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

#if LANES != 16 && LANES != 8 && LANES != 4
#error "FEAST_LANES: expected 4, 8 or 16"
#endif
#if LANES == 16 && defined(__AVX512F__)
#define USE_AVX512 1
#elif LANES == 8 && defined(__AVX2__)
#define USE_AVX2 1
#endif

typedef float lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t flags __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE lanes load(const float *from) { return *(const lanes *)from; }
INLINE lanes all(float value) { return (lanes){0} + value; }

/* The same quad for every feature of a vector. */
INLINE lanes spread(const float *quad)
{
#if defined(USE_AVX512)
    return (lanes)_mm512_broadcast_f32x4(_mm_loadu_ps(quad));
#elif defined(USE_AVX2)
    return (lanes)_mm256_broadcast_ps((const __m128 *)quad);
#else
    lanes same;
    for (int lane = 0; lane < LANES; lane++) { same[lane] = quad[lane % 4]; }
    return same;
#endif
}

/* Sums each quad of four vectors: lane 4k + j of the result is feature k of vector j. */
INLINE lanes merge(lanes a, lanes b, lanes c, lanes d)
{
#if defined(USE_AVX512)
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps((__m512)a, (__m512)b), _mm512_unpackhi_ps((__m512)a, (__m512)b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps((__m512)c, (__m512)d), _mm512_unpackhi_ps((__m512)c, (__m512)d));
    return (lanes)_mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
#elif defined(USE_AVX2)
    return (lanes)_mm256_hadd_ps(_mm256_hadd_ps((__m256)a, (__m256)b), _mm256_hadd_ps((__m256)c, (__m256)d));
#else
    lanes sums;
    for (int first = 0; first < LANES; first += 4) {
        sums[first] = (a[first] + a[first + 1]) + (a[first + 2] + a[first + 3]);
        sums[first + 1] = (b[first] + b[first + 1]) + (b[first + 2] + b[first + 3]);
        sums[first + 2] = (c[first] + c[first + 1]) + (c[first + 2] + c[first + 3]);
        sums[first + 3] = (d[first] + d[first + 1]) + (d[first + 2] + d[first + 3]);
    }
    return sums;
#endif
}

/* The largest of `score`, and in *id the lowest id among lanes that hold it. */
INLINE float largest(lanes score, flags ids, int32_t *id)
{
#if defined(USE_AVX512)
    const float most = _mm512_reduce_max_ps((__m512)score);
    const __mmask16 same = _mm512_cmp_ps_mask((__m512)score, _mm512_set1_ps(most), _CMP_EQ_OQ);
    *id = _mm512_mask_reduce_min_epi32(same, (__m512i)ids);
    return most;
#else
    float most = score[0];
    int32_t lowest = ids[0];
    for (int lane = 1; lane < LANES; lane++) {
        const int better = score[lane] > most || (score[lane] == most && ids[lane] < lowest);
        most = better ? score[lane] : most;
        lowest = better ? ids[lane] : lowest;
    }
    *id = lowest;
    return most;
#endif
}

INLINE lanes choose(flags mask, lanes yes, lanes no)
{
    return (lanes)((mask & (flags)yes) | (~mask & (flags)no));
}

#endif
