/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/catalog_config.h"

#include <errno.h>
#include <stdlib.h>

static int parse_rules(const struct config_list *texts, struct projection_rule *rules, struct err *err)
{
    for (unsigned i = 0; i < texts->n; i++) {
        int r = projection_parse_rule(slice_from_str(texts->items[i]), &rules[i], err);
        if (r < 0)
            return err_wrap(err, r, "\"%s\"", texts->items[i]);
    }
    return 0;
}

int catalog_config_projection(const struct config *config, struct projection **ret_projection, struct err *err)
{
    const struct config_list *texts = &config->catalog.rules;
    struct projection_rule *rules = calloc(texts->n ? texts->n : 1, sizeof(rules[0]));
    if (!rules)
        return err_set_errno(err, -ENOMEM, "catalog.rules");
    int r = parse_rules(texts, rules, err);
    if (r == 0)
        r = projection_new(rules, texts->n, config->catalog.foreign, ret_projection, err);
    free(rules);
    return r;
}

void catalog_config_fill(const struct config *config, struct catalog_options *ret_options)
{
    catalog_options_init(ret_options);
    ret_options->loss_min = config->catalog.loss_min;
    ret_options->loss_percent = config->catalog.loss_percent;
    ret_options->loss_window_ns = config->catalog.loss_window;
    ret_options->hold_max_ns = config->catalog.hold;
    ret_options->flap_half_life_ns = config->catalog.flap_half_life;
    ret_options->flap_suppress = config->catalog.flap_suppress;
    ret_options->flap_reuse = config->catalog.flap_reuse;
    ret_options->suspicion_ns = config->catalog.suspicion;
}
