/* The rule of FEAST in float32 for the processor it is compiled on; host/network/engines/numba_kernel.py is the readable original.
 *
 * Compiled with FEAST_RADIUS set, and driven through cffi by host/network/engines/c_kernel_build.py. What differs from the original:
 *
 * - The context is read in place from the surface, in quads (4 pixels of one row). A vector holds one quad of several
 *   features, so that a sum over quads needs no shuffles, and an update touches whole vectors only.
 * - Sums run over raw surface values; the context's norm divides the finished sums instead of every pixel.
 * - The norm of the moved weights follows from their old energy and the cosine, so one pass moves and renormalises.
 * - A limit is a threshold rounded up to float32: a float32 cosine reaches one exactly if it reaches the other.
 */
#include <math.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include "lanes.h"

enum {
    SIDE = 2 * FEAST_RADIUS + 1,
    ROW_QUADS = (SIDE + 3) / 4,
    QUADS = SIDE * ROW_QUADS,
    SHARE = LANES / 4,              /* features in one vector */
    VECTOR_FLOATS = QUADS * LANES,  /* all quads of SHARE features */
    GROUP = 8,                      /* vectors summed at once: enough chains to hide the latency of an addition */
    MISS = -1, BORDER = -2, OUTSIDE = -3, BACKWARDS = -4,
};
static const double RESCALE_OCTAVES = 40.0, CLEAR_OCTAVES = 110.0;
static const float OLDEST = 0x1p-60f, FAINTEST_SQUARED = 0x1p-120f;
static const float FAR_FROM_ONE = 1e-4f; /* of an energy: no rounding of its sum gets there */
static const double SMALLEST_MOVED = 0x1p-40; /* of a predicted energy, which rounding can make negative */

typedef struct {
    uint64_t t_us;
    uint16_t x, y;
    uint8_t polarity;
} event_t;

typedef struct {
    int32_t width, height, stride, features_per_bank, vectors;
    int32_t separate, is_signed, skip_border, learning, nearest;
    double octaves_per_us, eta, delta_i, delta_e;
} rule_t;

typedef struct {
    float *surfaces;     /* [channels][height + 2 radius][stride]; columns from width + 2 radius on stay 0 */
    float *weights;      /* [banks][vectors][QUADS][SHARE][4] */
    double *thresholds;  /* [features] */
    float *limits;       /* [banks][blocks][LANES], in the order of merged sums; +inf where there is no feature */
    float *open;         /* [blocks][LANES]: limits that every feature reaches */
    float *energies;     /* [features]: squared norms of the weights as stored */
    float *sums;         /* [4 blocks][LANES]: scratch */
    uint64_t *times_us;  /* [2]: t_ref, last accepted event */
    double *phase;       /* [1]: log2 of g(t_ref); negative before the first event */
    int64_t *counters;   /* [5]: hits, misses, border, outside, backwards */
} state_t;

int32_t feast_lanes(void);
void feast_limits(const rule_t *rule, const state_t *state);
void feast_step(const rule_t *rule, const state_t *state, const event_t *events, int64_t count, int16_t *results,
                double *details);

/* Place of a feature of a bank in `limits`. */
INLINE int32_t place(int32_t n)
{
    const int32_t within = n % LANES;
    return n - within + 4 * (within % SHARE) + within / SHARE;
}

int32_t feast_lanes(void) { return LANES; }

static float round_up(double value)
{
    const float near = (float)value;
    return (double)near < value ? nextafterf(near, INFINITY) : near;
}

static int32_t blocks_of(const rule_t *rule) { return (rule->vectors + 3) / 4; }

void feast_limits(const rule_t *rule, const state_t *state)
{
    const int32_t banks = rule->separate ? 2 : 1, size = blocks_of(rule) * LANES;
    for (int32_t i = 0; i < banks * size; i++) { state->limits[i] = INFINITY; }
    for (int32_t i = 0; i < size; i++) { state->open[i] = INFINITY; }
    for (int32_t n = 0; n < rule->features_per_bank; n++) {
        state->open[place(n)] = -INFINITY;
        for (int32_t bank = 0; bank < banks; bank++) {
            state->limits[bank * size + place(n)] = round_up(state->thresholds[bank * rule->features_per_bank + n]);
        }
    }
}

/* Accept the time of an event and return g(now), scaling the surfaces down first if it is large. */
static double advance(const rule_t *rule, const state_t *state, uint64_t now_us)
{
    if (state->phase[0] < 0.0) {
        state->times_us[0] = now_us;
        state->phase[0] = 0.0;
    }
    state->times_us[1] = now_us;
    double octaves = state->phase[0] + (double)(now_us - state->times_us[0]) * rule->octaves_per_us;
    if (octaves >= RESCALE_OCTAVES) {
        const int fresh = octaves >= CLEAR_OCTAVES;
        const double whole = floor(octaves);
        const float scale = fresh ? 0.0f : (float)exp2(-whole);
        const size_t size = (size_t)(rule->separate ? 2 : 1) * (size_t)(rule->height + 2 * FEAST_RADIUS) * (size_t)rule->stride;
        for (size_t i = 0; i < size; i++) {
            const float scaled = state->surfaces[i] * scale;
            state->surfaces[i] = fabsf(scaled) >= OLDEST ? scaled : 0.0f;
        }
        octaves = fresh ? 0.0 : octaves - whole;
        state->times_us[0] = now_us;
        state->phase[0] = octaves;
    }
    return exp(octaves * 0.693147180559945309417);
}

INLINE float norm_of(const float *context, int32_t stride)
{
    lanes energy = {0};
    lanes last = {0};
    enum { WHOLE = SIDE / LANES * LANES, REST = SIDE - WHOLE };
    for (int lane = 0; lane < REST; lane++) { last[lane] = 1.0f; }
    for (int row = 0; row < SIDE; row++, context += stride) {
        for (int x = 0; x < WHOLE; x += LANES) { energy += load(context + x) * load(context + x); }
        const lanes rest = load(context + WHOLE) * last;
        energy += rest * rest;
    }
    float sum = 0.0f;
    for (int lane = 0; lane < LANES; lane++) { sum += energy[lane]; }
    return sqrtf(sum);
}

/* Inner products of `count` vectors of weights with the context, not yet summed over a quad's four pixels. */
INLINE void sum_group(int count, const float *weights, const float *context, int32_t stride, float *sums)
{
    enum { CHAINS = 2 };
    lanes sum[GROUP][CHAINS];
    const int chains = count > GROUP / 2 ? 1 : CHAINS;
    for (int v = 0; v < count; v++) {
        for (int chain = 0; chain < chains; chain++) { sum[v][chain] = (lanes){0}; }
    }
    for (int row = 0; row < SIDE; row++, context += stride, weights += ROW_QUADS * LANES) {
        for (int quad = 0; quad < ROW_QUADS; quad++) {
            const lanes pixels = spread(context + 4 * quad);
            for (int v = 0; v < count; v++) {
                sum[v][quad % chains] += load(weights + v * VECTOR_FLOATS + quad * LANES) * pixels;
            }
        }
    }
    for (int v = 0; v < count; v++) {
        for (int chain = 1; chain < chains; chain++) { sum[v][0] += sum[v][chain]; }
        *(lanes *)(sums + v * LANES) = sum[v][0];
    }
}

/* Group by group; the other way round every second event, so that of weights larger than the first cache the part used
 * last is used first. */
static void sum_all(int32_t vectors, int backwards, const float *weights, const float *context, int32_t stride, float *sums)
{
    const int32_t groups = (vectors + GROUP - 1) / GROUP;
    for (int32_t i = 0; i < groups; i++) {
        const int32_t group = backwards ? groups - 1 - i : i;
        const int32_t first = group * vectors / groups, count = (group + 1) * vectors / groups - first;
        const float *from = weights + (size_t)first * VECTOR_FLOATS;
        float *to = sums + first * LANES;
        switch (count) {
        case 1: sum_group(1, from, context, stride, to); break;
        case 2: sum_group(2, from, context, stride, to); break;
        case 3: sum_group(3, from, context, stride, to); break;
        case 4: sum_group(4, from, context, stride, to); break;
        case 5: sum_group(5, from, context, stride, to); break;
        case 6: sum_group(6, from, context, stride, to); break;
        case 7: sum_group(7, from, context, stride, to); break;
        default: sum_group(8, from, context, stride, to); break;
        }
    }
}

/* Scale the weights of a feature to unit norm by the norm they have; returns their energy then. */
static float renormalise(int32_t features_per_bank, int32_t feature, float *weights)
{
    const int32_t sub = feature % features_per_bank % SHARE;
    double before = 0.0, after = 0.0;
    for (int quad = 0; quad < QUADS; quad++) {
        for (int i = 0; i < 4; i++) {
            const double weight = (double)weights[quad * LANES + 4 * sub + i];
            before += weight * weight;
        }
    }
    const double scale = 1.0 / sqrt(before);
    for (int quad = 0; quad < QUADS; quad++) {
        for (int i = 0; i < 4; i++) {
            float *weight = &weights[quad * LANES + 4 * sub + i];
            *weight = (float)((double)*weight * scale);
            after += (double)*weight * (double)*weight;
        }
    }
    return (float)after;
}

/* w += eta * (c - w), renormalised; c is the context over its norm. Where w and eta * (c - w) nearly cancel, the
 * predicted norm is rounding only, and is corrected by the measured one. */
static void move(const rule_t *rule, const state_t *state, int32_t feature, float *weights, const float *context,
                 float inverse, float cosine)
{
    const int32_t sub = feature % rule->features_per_bank % SHARE;
    const double keep = 1.0 - rule->eta;
    const double moved = keep * keep * (double)state->energies[feature] + 2.0 * keep * rule->eta * (double)cosine +
                         rule->eta * rule->eta;
    const double scale = 1.0 / sqrt(fmax(moved, SMALLEST_MOVED));
    lanes kept = all(1.0f), taken = {0}, last = {0};
    for (int i = 0; i < 4; i++) {
        kept[4 * sub + i] = (float)(keep * scale);
        taken[4 * sub + i] = (float)(rule->eta * scale * (double)inverse);
    }
    enum { REST = SIDE - 4 * (ROW_QUADS - 1) };
    for (int i = 0; i < LANES; i++) { last[i] = i % 4 < REST ? taken[i] : 0.0f; }
    lanes energy[ROW_QUADS];
    for (int quad = 0; quad < ROW_QUADS; quad++) { energy[quad] = (lanes){0}; }
    float *const first = weights;
    for (int row = 0; row < SIDE; row++, context += rule->stride, weights += ROW_QUADS * LANES) {
        for (int quad = 0; quad < ROW_QUADS; quad++) {
            const lanes pixels = spread(context + 4 * quad) * (quad == ROW_QUADS - 1 ? last : taken);
            const lanes weight = load(weights + quad * LANES) * kept + pixels;
            const lanes square = weight * weight;
            const flags strong = square >= FAINTEST_SQUARED;
            *(lanes *)(weights + quad * LANES) = (lanes)((flags)weight & strong);
            energy[quad] += square;
        }
    }
    for (int quad = 1; quad < ROW_QUADS; quad++) { energy[0] += energy[quad]; }
    const float stored = (energy[0][4 * sub] + energy[0][4 * sub + 1]) + (energy[0][4 * sub + 2] + energy[0][4 * sub + 3]);
    state->energies[feature] = fabsf(stored - 1.0f) > FAR_FROM_ONE ? renormalise(rule->features_per_bank, feature, first) : stored;
}

static void two_best(int32_t features_per_bank, const float *merged, float inverse, double *best, double *second)
{
    *best = *second = -INFINITY;
    for (int32_t n = 0; n < features_per_bank; n++) {
        const double score = (double)(merged[place(n)] * inverse);
        if (score > *best) {
            *second = *best;
            *best = score;
        } else if (score > *second) {
            *second = score;
        }
    }
}

void feast_step(const rule_t *rule, const state_t *state, const event_t *events, int64_t count, int16_t *results,
                double *details)
{
    const int32_t radius = FEAST_RADIUS, blocks = blocks_of(rule);
    const size_t channel_floats = (size_t)(rule->height + 2 * radius) * (size_t)rule->stride;
    int64_t *counters = state->counters;
    flags lane_ids;
    for (int lane = 0; lane < LANES; lane++) { lane_ids[lane] = SHARE * (lane % 4) + lane / 4; }
    memset(state->sums, 0, (size_t)blocks * 4 * LANES * sizeof(float));

    for (int64_t i = 0; i < count; i++) {
        const event_t event = events[i];
        if (event.x >= rule->width || event.y >= rule->height) {
            results[i] = OUTSIDE;
            counters[3]++;
            continue;
        }
        if (state->phase[0] >= 0.0 && event.t_us < state->times_us[1]) {
            results[i] = BACKWARDS;
            counters[4]++;
            continue;
        }
        const double level = advance(rule, state, event.t_us);
        const int32_t bank = rule->separate && event.polarity != 0;
        float *context = state->surfaces + (size_t)bank * channel_floats + (size_t)event.y * (size_t)rule->stride + event.x;
        context[radius * rule->stride + radius] = (float)(rule->is_signed && event.polarity == 0 ? -level : level);
        if (rule->skip_border && (event.x < radius || event.y < radius || event.x >= rule->width - radius ||
                                  event.y >= rule->height - radius)) {
            results[i] = BORDER;
            counters[2]++;
            continue;
        }

        float *weights = state->weights + (size_t)bank * (size_t)rule->vectors * VECTOR_FLOATS;
        float *limits = state->limits + bank * blocks * LANES;
        const float *range = rule->nearest ? state->open : limits;
        sum_all(rule->vectors, i & 1, weights, context, rule->stride, state->sums);
        const float norm = norm_of(context, rule->stride), inverse = 1.0f / norm;
        lanes best = all(-INFINITY);
        flags ids = {0};
        for (int32_t block = 0; block < blocks; block++) {
            float *sums = state->sums + block * 4 * LANES;
            const lanes score = inverse * merge(load(sums), load(sums + LANES), load(sums + 2 * LANES), load(sums + 3 * LANES));
            const flags better = (score >= load(range + block * LANES)) & (score > best);
            best = choose(better, score, best);
            ids = (better & (lane_ids + block * LANES)) | (~better & ids);
        }
        int32_t winner;
        const float cosine = largest(best, ids, &winner);
        if (details) {
            float *merged = state->sums; /* block by block into the first quarter, then all back to their places */
            for (int32_t block = 0; block < blocks; block++) {
                const float *sums = state->sums + block * 4 * LANES;
                *(lanes *)(merged + block * LANES) = merge(load(sums), load(sums + LANES), load(sums + 2 * LANES), load(sums + 3 * LANES));
            }
            two_best(rule->features_per_bank, merged, inverse, &details[3 * i], &details[3 * i + 1]);
            details[3 * i + 2] = (double)norm / level;
            memset(state->sums, 0, (size_t)blocks * 4 * LANES * sizeof(float));
        }
        double *thresholds = state->thresholds + bank * rule->features_per_bank;
        if (cosine > -INFINITY) {
            const int32_t feature = bank * rule->features_per_bank + winner;
            results[i] = (int16_t)feature;
            counters[0]++;
            if (rule->learning) {
                move(rule, state, feature, weights + (size_t)(winner / SHARE) * VECTOR_FLOATS, context, inverse, cosine);
                thresholds[winner] = fmin(1.0, thresholds[winner] + rule->delta_i);
                limits[place(winner)] = round_up(thresholds[winner]);
            }
        } else {
            results[i] = MISS;
            counters[1]++;
            if (rule->learning) {
                for (int32_t n = 0; n < rule->features_per_bank; n++) {
                    thresholds[n] = fmax(-1.0, thresholds[n] - rule->delta_e);
                    limits[place(n)] = round_up(thresholds[n]);
                }
            }
        }
    }
}
