import { render } from "preact";
import { Model } from "./model.ts";
import { App } from "./ui/App.tsx";
import { keepTheme } from "./ui/theme.ts";

const model = new Model();
keepTheme();
model.start();
render(<App model={model} />, document.getElementById("app") as HTMLElement);
