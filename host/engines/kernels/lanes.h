/* Vectors of the widest kind that the compiler was told of: 16, 8 or 4 float32. */
#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float lanes __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t flags __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE lanes load(const float *from) { return *(const lanes *)from; }
INLINE lanes all(float value) { return (lanes){0} + value; }

/* The same quad for every feature of a vector. */
INLINE lanes spread(const float *quad)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_broadcast_f32x4(_mm_loadu_ps(quad));
#elif defined(__AVX2__)
    return (lanes)_mm256_broadcast_ps((const __m128 *)quad);
#else
    return load(quad);
#endif
}

/* Sums each quad of four vectors: lane 4k + j of the result is feature k of vector j. */
INLINE lanes merge(lanes a, lanes b, lanes c, lanes d)
{
#if defined(__AVX512F__)
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps((__m512)a, (__m512)b), _mm512_unpackhi_ps((__m512)a, (__m512)b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps((__m512)c, (__m512)d), _mm512_unpackhi_ps((__m512)c, (__m512)d));
    return (lanes)_mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xEE));
#elif defined(__AVX2__)
    return (lanes)_mm256_hadd_ps(_mm256_hadd_ps((__m256)a, (__m256)b), _mm256_hadd_ps((__m256)c, (__m256)d));
#else
    return (lanes){(a[0] + a[1]) + (a[2] + a[3]), (b[0] + b[1]) + (b[2] + b[3]), (c[0] + c[1]) + (c[2] + c[3]),
                   (d[0] + d[1]) + (d[2] + d[3])};
#endif
}

/* The largest of `score`, and in *id the lowest id among lanes that hold it. */
INLINE float largest(lanes score, flags ids, int32_t *id)
{
#if defined(__AVX512F__)
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
