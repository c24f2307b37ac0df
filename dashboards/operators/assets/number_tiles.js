// Headline numbers: what is counted, of how many, in which states, and how old it is.
import { age, city } from "gampong-live";

export default {
  props: { tiles: Array },
  template: `
    <div class="tiles">
      <section v-for="tile in tiles" :key="tile.key" class="tile" :data-number="tile.key">
        <h2>{{ tile.title }}</h2>
        <p class="figure"><b :class="{ wrong: tile.bad }">{{ tile.figure }}</b> <span>{{ tile.beside }}</span></p>
        <div v-if="tile.states.length" class="bar" aria-hidden="true">
          <i v-for="part in tile.states" :key="part.state" :data-state="part.state" :style="{ flexGrow: part.n }"></i>
        </div>
        <p v-if="tile.states.length || tile.notes.length" class="number-parts">
          <span v-for="part in tile.states" :key="part.state"><i class="dot" :data-state="part.state"></i>{{ part.said }} {{ part.n }}</span>
          <span v-for="note in tile.notes" :key="note">{{ note }}</span>
        </p>
        <p class="age">{{ tile.age ? (city.now, age(tile.age)) : tile.never }}</p>
      </section>
    </div>`,
  setup() {
    return { age, city };
  },
};
