// A card for each thing: its state, and what is known of it as names and values.
import { age, city } from "gampong-live";
import { Cell } from "gampong-cells";

export default {
  components: { Cell },
  props: { cards: Array, empty: String },
  template: `
    <div class="fact-cards">
      <p v-if="!cards.length" class="panel empty">{{ empty }}</p>
      <article v-for="card in cards" :key="card.key" class="panel" :data-card="card.key"
        :data-state="card.state">
        <h3><i class="dot" :data-state="card.state" aria-hidden="true"></i>{{ card.title }}
          <em>{{ card.said }}</em>
          <small v-if="card.age" class="cell-age">{{ city.now && age(card.age) }}</small></h3>
        <dl>
          <div v-for="fact in card.facts" :key="fact.name" :data-fact="fact.key">
            <dt>{{ fact.name }}</dt><dd><Cell :cell="fact.cell" /></dd>
          </div>
        </dl>
      </article>
    </div>`,
  setup() {
    return { age, city };
  },
};
