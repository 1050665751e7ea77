/**
 * The commonest 1,000 words of English, German, French and Spanish each, without given names: who is called like one of
 * them is mentioned with an `@` only. Loaded when it has to be known.
 *
 * Derived from the data of wordfreq 3.1.1 by Robyn Speer (https://pypi.org/project/wordfreq), which is licensed under
 * CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/); so is this file.
 */

export const COMMON_WORDS =
  'a ab abajo abend aber able abord about above abril acceso access acciones acción accord according account accès ' +
  'acerca ach acheter acht across act action actividad actividades activité activités actual actually actualmente ' +
  'actuellement acuerdo acá add added addition adelante además administración administration adresse afd affaire ' +
  'affaires afin afrique after again against age agit ago agosto agua ah ahead ahnung ahora ahí ai aide aider ' +
  'ailleurs aime ainsi air aire aires ait al album algo alguien alguna algunas algunos algún all alle allein ' +
  'alleine allem allemagne allen aller allerdings alles allez allow allowed allá allí alma almost alone along alors ' +
  'already alrededor als also alt alta alte alten alter although alto always am amazing ambos america american ami ' +
  'amigo amigos amis among amor amount amour américa américain an ancien and andere anderem anderen anderer anderes ' +
  'anders anfang angebot anglais angst annonce année années another ans answer ante anterior antes antwort any ' +
  'anyone anything análisis août apenas apoyo appel appelle appelé apprendre april après aquellos aqui aquí arbeit ' +
  'arbeiten are area areas argent argentina armas armes army armée around arriba arrive arriver arrivé arrivée ' +
  'arrière arrête arrêter art arte article articles artikel artículo artículos as asi ask asked assemblée assez ' +
  'association asunto así at atención atrás attack attaque attendre attention au auch aucun aucune auf aufgrund ' +
  'aufs augen august aun aunque auprès aura aurais aurait aus ausbildung ausser ausserdem aussi australia autant ' +
  'auteur auto autor autour autre autres aux avaient available avais avait avance avant avec avenir average avez ' +
  'avis avoir avons avril away ayant ayer ayuda ayudar año años aún b baby back bad bahn baja bajo bald ball banco ' +
  'band banda bande bank barcelona bas base based bastante bayern be beau beaucoup beautiful became because become ' +
  'bed bedeutet bedeutung been before began beginn beginnt behind bei beide beiden beim being beispiel ' +
  'beispielsweise bekannt bekommen bekommt believe belle below ben bereich bereit bereits berlin berliner besoin ' +
  'besonders besser best beste besteht besten bestimmt bett better between bevor bevölkerung bien bientôt bietet ' +
  'big bild bilder bill bin bis bisher bisschen bist bit bitte black blanc blanco bleiben bleibt blick blieb blood ' +
  'blue board boca boden body bois bon bonjour bonne bonnes bons book books bord born both bout box boy boys bras ' +
  'brasil brauchen braucht break bring bringen bringt british brother brought bruder buch buen buena buenas bueno ' +
  'buenos build building built bureau busca buscar business but buy by bzw bürger c ca cabeza cabo cada cadre ' +
  'calidad call calle called cambiar cambio cambios came camino campagne campaña campo can canada canal canción ' +
  'cannot cantidad capacidad capaz capital car cara card care career cargo carrera carta carte cas casa case cases ' +
  'casi caso casos causa cause cdu ce ceci cela celle celles celui center central centre centro century cependant ' +
  'cerca certain certaines certains ces cet cette ceux chacun chambre chance change changed changement changer ' +
  'changes chaque character charge check chef chemin cher cherche chercher chez chica chicos chief child children ' +
  'chile china choice choix chose choses church ci cielo cierto cinco cine cinq city ciudad ciudadanos ciudades ' +
  'civil claro clase clases class classe clear close club co code coeur cold colegio college colombia color combien ' +
  'come comentarios comer comes comida coming comisión comme commence commencer commencé comment commerce ' +
  'commission common communauté commune community como compagnie companies company compañía complete complètement ' +
  'comprar comprend comprendre comprends compris compte comunicación comunidad común con concernant condiciones ' +
  'conditions confiance congreso conmigo connais connaître connu conocer conocido conseguir conseil consejo ' +
  'considered constitución construcción construction contenido contigo continue contra contraire contrario contrat ' +
  'contre control contrôle cool corazón corps corte cosa cosas cost costa could council countries country county ' +
  'coup coupe couple cour courant cours course court cover crazy crear create created cree creer creo crisis ' +
  'critique croire crois création créer cual cuales cualquier cualquiera cuando cuanto cuatro cuenta cuentas cuerpo ' +
  'cuestión cul culpa cultura cultural culture cup current currently cut cuál cámara código cómo côté cœur d da ' +
  'dabei dachte dado dadurch dafür dagegen daher daily damals damit damn dan danach dando dank danke dann dans dar ' +
  'daran darauf darf darin dark darle darum darüber das dass data date daten datos daughter davon day days dazu de ' +
  'dead deal death debe debemos deben debería debido december decided decir decision decisión deep defensa dehors ' +
  'dein deine deinem deinen deiner deja dejar dejó del dem demain demande demander demandé demasiado demi demás den ' +
  'denen denke denken denn dennoch dentro departamento department depuis der derecha derecho derechos deren dernier ' +
  'derniers dernière dernières derrière des desarrollo desde deshalb design después dessen dessus deswegen deutlich ' +
  'deutsch deutsche deutschen deutscher deutschland deux deuxième devait devant development devenir devenu devient ' +
  'devoir devrait dezember di dia diario dice dicen dich dicho diciembre diciendo did die died dies diese diesem ' +
  'diesen dieser dieses dieu diez diferencia diferente diferentes different difficile difficult différentes ' +
  'différents difícil digo dije dijo dimanche dinero dinge dio dios dir dire dirección directement directeur ' +
  'direction director direkt dis discours district dit dix do doch does dog doing dois doit doivent dolor domaine ' +
  'domingo donc donde done donne donner donné données dont door dort dos double doute down dr dran drauf drei ' +
  'dritten drive droit droite droits druck du duda due dur durant durante durch durchaus during dès début décembre ' +
  'décision défense déjà départ désormais développement día días dólares dónde dû dürfen e each early earth east ' +
  'easy eat eau eben ebenfalls ebenso echt economic economía económica edad educación education efecto effect effet ' +
  'egal eher eigene eigenen eigentlich eight ein eine einem einen einer eines einfach einige einigen einmal eins ' +
  'einsatz einzelnen einzige either ejemplo ejército el elecciones election ella ellas elle elles ello ellos else ' +
  'eltern embargo empezar emploi empresa empresas en encima encontrar encore encuentra encuentro end ende endlich ' +
  'endroit energy energía enero enfant enfants enfin england english enjoy enough ensemble ensuite entender ' +
  'entendre entendu entfernt entiendo entire entonces entrada entrar entre entreprise entreprises entrée ' +
  'entscheidung entwicklung envie environ equipo er era eran eres erfahrung erfolg ergebnis erhalten erklären ' +
  'erklärt erneut ernst erreichen erreicht error erst erste ersten erster erwartet erzählt es esa esas escribir ' +
  'escrito escuela ese eso esos espace espacio españa español española especial especially especialmente espera ' +
  'esperando esperar espero esprit espère essayer essen est esta estaba estaban estado estados estamos estar estas ' +
  'este estilo esto estos estoy estudio estudios estuvo está están estás esté et etat etc etwa etwas eu euch eure ' +
  'euro europa europe european europäischen européenne euros eux even event events ever every everyone everything ' +
  'evidence evitar ex exactement exactly example except exemple existe existen experience experiencia explique ' +
  'expérience eye eyes f face facebook facile fact fahren faire fais faisait faisant fait faite faites faits fall ' +
  'fallen falls falsch falta familia familie famille family fand fans far fast father faut faute faux favor façon ' +
  'fc febrero februar february fecha federal feel feeling fehler fehlt feliz felt femme femmes fera fertig fest feu ' +
  'few field fiesta fight figure fille filles film films fils fin final finale finalement finally finalmente ' +
  'financial find finde finden findet fine fini fire firma first five fois folge folgen folgenden follow followed ' +
  'following fonction fond fondo font food football for force forces foreign forget form forma formación formas ' +
  'formation forme former fort forte forward foto fotos found four frage fragen frais france francia frankfurt ' +
  'frankreich français française frau frauen free frei french frente freund freunde freundin friend friends from ' +
  'front frère früher fuck fucking fue fuego fuente fuera fueron fuerte fuerza fuerzas fui full fun funktioniert ' +
  'funny further fussball fut future futuro fácil fällt février fête fútbol führen führt fünf für g gab gagner game ' +
  'games ganar ganz ganze ganzen gar garde gars gauche gave geben gebracht gedacht gedanken gefahr gefallen ' +
  'gefunden gefällt gefühl gegeben gegen gegenüber gehe gehen geht gehören gehört gekommen geld gemacht gemeinde ' +
  'gemeinsam genannt genau genauso general genommen genre gens gente genug gerade gern gerne gesagt geschichte ' +
  'geschrieben gesehen gesellschaft gesicht gestellt gestern get gets getting gewesen gewinnen geworden gibt gilt ' +
  'ging girl girls give given gives giving glaube glauben gleich gleichen gleichzeitig glück gmbh go goal gobierno ' +
  'god goes going gold gone gonna good google got gott gouvernement government gracias grad gran grand grande ' +
  'grandes grands grave great green gros gross grosse grossen grosser ground group groupe groupes groups growth ' +
  'grund grupo grupos gruppe grâce grösste grössten grünen guerra guerre guess gusta gustaría gusto gut gute guten ' +
  'guter gutes guy guys général générale h ha hab habe haben haber habitants habla hablando hablar habrá habría ' +
  'habt había habían hace hacen hacer hacerlo haces hacia haciendo had haga hago hair half hallo halt halten ' +
  'hamburg han hand handelt hands happen happened happy hard has hast hasta hat hate hatte hatten haus hause haut ' +
  'haute have having hay haya he head health hear heard heart hecho hechos hein heisst held helfen hell help hemos ' +
  'her heraus here hermano herr herren herz heure heures heureux heute hey hice hicieron hier high higher hija hijo ' +
  'hijos hilfe hilft him himself hin hinaus hinter his histoire historia history hit hizo hoch hoffe hohe hohen ' +
  'hola hold hombre hombres home homme hommes honneur hope hora horas hors hospital hot hour hours house how ' +
  'however hoy hubiera hubo huge huit human humanos hälfte hält hätte hätten häufig hôtel höhe hören hört i iba ich ' +
  'ici idea ideas idee idée idées if iglesia igual ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres ii il ils im ' +
  'image imagen immer importa importancia important importante importantes importe imposible impossible impression ' +
  'in include included including incluso increase indem india industria industry información information ' +
  'informationen informations inglés innerhalb ins insbesondere insgesamt inside instant instead instituto ' +
  'interesante interesse interest interior internacional international internet interés into intérieur intérêt ' +
  'investigación involved inzwischen ir irgendwie is isla issue issues ist it its itself izquierda j ja jahr jahre ' +
  'jahren jahres jamais jamás januar january janvier je jede jedem jeden jeder jedes jedoch jefe jemand jetzt jeu ' +
  'jeune jeunes jeux jeweils job joue jouer joueur joueurs jour journal journée jours joven juego juegos jugar ' +
  'juicio juillet juin juli julio july june junge jungen juni junio junto juntos just juste justice justicia justo ' +
  'jóvenes k kam kamen kampf kann kannst kaufen kaum keep kein keine keinen keiner kenne kennen kennt key kids kill ' +
  'killed kind kinder kindern king kirche klar klasse klein kleine kleinen kleiner klingt km knew know known knows ' +
  'kommen kommt komplett konnte konnten kopf kosten kraft kreis krieg kritik kultur kunden kunst kurz köln könig ' +
  'können könnte könnten körper l la lado lag lage laisse laisser land lang lange langsam language langue laquelle ' +
  'large largo las lass lassen last late later laufen laut law le lead league learn least leave leben led lediglich ' +
  'leer left legal leicht leider lejos lequel lernen les lesen less let lettre letzte letzten leur leurs leute ' +
  'level ley leyes libertad liberté libre libro libros licht liebe lieber liegen liegt lien liess lieu lieux life ' +
  'light ligne like likely limited line linie links lire list lista liste listen lit little live lives living livre ' +
  'livres llama llamada llamado llega llegar llegó lleva llevar lo local loco loi loin lol london long longer ' +
  'longtemps longue look looked looking looks lord lors lorsque los lose loss lost lot love low lower lucha luego ' +
  'luft lugar lugares lui lumière luz lyon là länger lässt läuft línea lösung m ma mach mache machen macht machte ' +
  'made madre madrid mag mai main mains maintenant mais maison major majorité make makes making mal mala malgré ' +
  'malo mamá man management manche manchmal manera manger manière mann mano manos manque mantener many mar march ' +
  'marche marché mariage mark market markt marque married mars marzo mas match matin matière matter mauvais may ' +
  'maybe mayo mayor mayores mayoría maître mañana me mean means mec media mediante medical medida medidas medien ' +
  'medio medios meet meeting mehr mehrere meilleur meilleure meilleurs mein meine meinem meinen meiner meinung ' +
  'meist meisten mejor mejores member members membres men menge menor menos mensaje mensch menschen mente mer ' +
  'mercado merci merde mes meses message mesure met meter mettre mi mich middle midi miedo miembros mientras mierda ' +
  'mieux might mil miles milieu militar military million millionen millions millones mind mindestens mine minister ' +
  'ministerio ministre ministro minuten minutes minutos mir mira mis mise misma mismo mismos miss missing mission ' +
  'mit mitad mitarbeiter mitglieder mitte mittlerweile mode model modelo modern modo modèle moi moins mois moitié ' +
  'mom moment momento mon monat monate monaten monde money monsieur month months montre montrer more morgen morning ' +
  'mort morts most mot mother mots mouvement move movie movimiento moving moyen moyenne moyens mr much mucha muchas ' +
  'mucho muchos muerte muestra mujer mujeres mundial mundo music musik musique muss musst musste must mutter muy my ' +
  'myself más mädchen männer märz mère médias méxico même mêmes mí möchte möglich möglichkeit música münchen müssen ' +
  'müsste n na nach nachdem nachrichten nacht nacional nada nadie nahm name namen national nationale natur natural ' +
  'nature natürlich ne near neben necesario necesidad necesita necesito need needed needs negro nehmen nein nen ' +
  'network neu neue neuen neuer neues never new news next ni nice nicht nichts nie niemals niemand night nimmt ' +
  'ninguna ningún niveau nivel niño niños no noch noche nochmal noir nom nombre nombreuses nombreux non nord normal ' +
  'norte north nos nosotros not nota notamment note nothing noticia noticias notre nous nouveau nouveaux nouvelle ' +
  'nouvelles november novembre noviembre now nr nuestra nuestras nuestro nuestros nueva nuevas nuevo nuevos nuit ' +
  'number numéro nun nunca nur nutzen nächste nächsten nähe nämlich nécessaire número o ob oben objet objetivo obra ' +
  'obras obtenir obwohl occasion october octobre octubre oder odio of off offen offer office officer official offre ' +
  'oficial oficina oft often oh ohne oil ojos ok okay oktober old on once one ones online only ont open opfer ' +
  'opinión oportunidad or orden order ordre organisation organización origen original origine oro ort os other ' +
  'others otra otras otro otros ou ouais ouest oui our out outre outside over own où p paar padre padres pagar page ' +
  'paid pain paix palabra palabras papel paper par para parce parece parents parfois paris park parle parler parmi ' +
  'parole part parte partei partes parti participación particulier particulièrement partido partidos partie partir ' +
  'partout parts party pas pasa pasado pasar paso pass passage passe passer passiert passt passé past pasó pay ' +
  'payer pays paz país países peace peine película pena pendant pensar pense penser people peor pequeña pequeño per ' +
  'percent perder perdre perdu perfect performance perhaps period permet permis permite pero person persona ' +
  'personal personas personen personne personnel personnes perú pesar peso petit petite petites petits peu peuple ' +
  'peur peut peuvent peux phone photo photos physique pick picture piece pied pieds pienso pire pièce pièces place ' +
  'places plaisir plan plata platz play played player players playing plaza please plein plupart plus plusieurs ' +
  'plutôt plötzlich población pobre poco pocos podemos poder podría podía point points police policy policía ' +
  'political politik politiker politique politiques politische politischen polizei política políticas político ' +
  'políticos pone poner poor popular population por porque porte porter posible posición position possible post ' +
  'poste pour pourquoi pourra pourrait pourtant pouvait pouvez pouvoir power pp practice pratique precio precios ' +
  'pregunta preguntas preis premier premiers premio première premières prend prendre prensa presencia present ' +
  'presente president presidente presque press presse pretty preuve price primer primera primero primeros principal ' +
  'principales principe principio principios pris prise prison private prix pro probablemente probably problem ' +
  'problema problemas probleme problems problème problèmes proceso process prochain prochaine proche producción ' +
  'production productos products produit produits profesor professional program programa programm programme project ' +
  'projekt projet projets pronto property propia propiedad propio propos propose propre provide provided provincia ' +
  'proyecto proyectos prozent prueba präsident près présence présent présente président prêt pu public publique ' +
  'published publié pudo pueblo pueda puede pueden puedes puedo puerta puerto pues puesto puis puisque puisse punkt ' +
  'punkte punto puntos put puta putain página père période pública público q qu quality qualité quand quant ' +
  'quartier quatre que queda quel quelle quelque quelques queremos quería question questions qui quien quienes ' +
  'quiere quieren quieres quiero quite quizás quién quoi qué québec r race radio rahmen raison range rapidement ' +
  'rappelle rapport rate rather raum raus razón re read reading ready real realidad really realmente reason ' +
  'received recent recently recherche recht rechte rechts record recuerdo recursos red rede reden redes regarde ' +
  'regarder regel regierung region región reicht reihe rein relaciones relación related relations relationship ' +
  'release released remember rencontre rend rendez rendre report república required research respect respecto ' +
  'respeto response respuesta rest reste rester resto result resultado resultados results retour retrouve retrouver ' +
  'return review revolución rey reçu richtig richtige richtung rico rien right rights risk risque river road rock ' +
  'roi role rolle room ropa rouge round route rue rules run rund running russland rápido règles réalité régime ' +
  'région répondre réponse république réseau résultat résultats río rôle s sa sabe sabemos saben saber sabes sache ' +
  'sachen safe sagen sagt sagte sah said saint sais saison sait sale sales salir salle salud same samedi san sang ' +
  'sangre sans santa santé sauf save savoir saw say saying says schaffen schau schauen scheint scheisse schlecht ' +
  'schliesslich schnell schon school schools schreiben schritt schuld schule schwarz schweiz schwer schön schöne ' +
  'schüler science scène se sea sean season sechs second seconde sector security see seeing seem seems seen seguir ' +
  'segunda segundo seguridad seguro según sehe sehen sehr sei seid seien sein seine seinem seinen seiner seines ' +
  'seis seit seite seiten selber selbst self selon selten semaine semaines semana semanas semble send sens sense ' +
  'sent sentido sept september septembre septiembre ser sera serait serie series serio serious seront service ' +
  'services servicio servicios será serán sería ses set setzen setzt seul seule seulement seven several sex sexo ' +
  'señor shall share she shit short shot should show shows si sich sicher sicherheit side sido sie sieben siehe ' +
  'sieht siempre siendo siento siete siglo sign significa sigue siguen siguiente siguientes similar simple ' +
  'simplement simplemente simply sin since sind single sinn sino sinon siquiera sir sistema site sitio situación ' +
  'situation six size siècle sleep small so sobre social sociale sociales sociedad society société sofort sogar ' +
  'sohn soient soir soirée soit sol sola solamente solche solchen soleil soll sollen sollte sollten solo solution ' +
  'some someone something sometimes somit sommer sommes somos son sondern song sonntag sonst sont soon sorgen sorry ' +
  'sort sorte sortie sortir sound source sous south souvent sowas soweit sowie sowohl soy space spass spd speak ' +
  'special specific spent spiel spiele spielen spieler spielt sport sprache sprechen spricht später sr st staat ' +
  'staaten stadt staff stage stand standard star stark start started starting state states statt stay stehen steht ' +
  'stelle stellen stellt step still stimme stimmen stimmt stop store story straight strasse street strong student ' +
  'students study stuff stunde stunden stuttgart style stück su success succès such suche suchen sucht sud suerte ' +
  'suffit suficiente suis suite suivre sujet summer super superior support supuesto sur sure surtout sus system ' +
  'systems système sé sécurité série sérieux sí sólo sûr t ta table tag tage tagen take taken takes taking tal talk ' +
  'talking tambien también tampoco tan tandis tant tanto tard tarde tat tatsächlich taux tax te team technique ' +
  'technology teil teilweise tel televisión tell telle tellement tema temas temps ten tenemos tener tenga tengo ' +
  'tenido tenía tenían term terme terms terrain terre territoire tes test text texte texto than thank thanks that ' +
  'the their them thema themselves then there these they thing things think thinking third this those though ' +
  'thought three through ti tiempo tiempos tiene tienen tienes tierra time times tipo titel title titre to tochter ' +
  'tod toda todas todavía today todo todos together toi told toll toma tomar tomorrow ton tonight too took top ' +
  'total totalmente toujours tour tous tout toute toutefois toutes towards town trabajadores trabajar trabajo track ' +
  'trade tragen train training tras trata travail travailler travaux travers través treffen tres tried trois ' +
  'troisième trop trotz trotzdem trouve trouver trouvé truc true trust truth try trying très tu tun turn turned tus ' +
  'tut tuvo tv twitter two typ type téléphone tête título tôt tú u uhr uk um un una unas unbedingt und under ' +
  'understand une unidad unidos union unique unis united universidad university université unión uno unos uns unser ' +
  'unsere unserem unseren unserer unten unter unternehmen unterstützung unterwegs until up upon us usa usar use ' +
  'used using uso usted ustedes usually utiliser v va vais vale valeur valor value vamos van varias varios various ' +
  'vas vater vaut vaya ve veces ven vendredi venezuela venir vente veo ver verbindung verdad verein verfügung ' +
  'vergessen vergleich verlassen verloren vers verschiedene verschiedenen version versión verstehen versuchen ' +
  'versucht verwendet very veulent veut veux vez vi via viaje victoire victoria vida video vidéo vie viejo viel ' +
  'viele vielen vielleicht viene viens vient vier vieux view ville villes vino violencia vis visit vista visto vite ' +
  'vive vivir vivo vivre voice voici voie voilà voir vois voit voiture voix vol voll volver vom von vont vor vorbei ' +
  'vorher vos vote votos votre voulu vous voy voyage voz vrai vraiment vu vue vuelta vuelve vérité vía völlig w ' +
  'wahl wahrheit wahrscheinlich wait waiting walk wall wann wanna want wanted wants war waren warten warum was ' +
  'washington wasser watch watching water way ways we web website weder week weeks weg wegen weight weil weise ' +
  'weiss weit weiter weitere weiteren weiterhin welche welcher welches well welt wenig wenige weniger wenigstens ' +
  'wenn went wer werde werden were wert west what whatever when where whether which while white who whole whose why ' +
  'wichtig wie wieder wien wieso wife will willst win wir wird wirklich wirst wirtschaft wish wissen with within ' +
  'without wo wobei woche wochen wochenende wohl wohnung wollen wollte woman women won word worden words work ' +
  'worked working works world wort worte worth would write writing written wrong wrote wurde wurden wusste wählen ' +
  'während wäre wären würde würden x y ya yeah year years yes yet yeux yo york you young your yourself z zahl ' +
  'zahlen zehn zeigen zeigt zeit zeiten zeitung ziehen ziel ziemlich zimmer zona zone zu zudem zuerst zukunft zum ' +
  'zumindest zunächst zur zurück zusammen zuvor zwar zwei zweite zweiten zwischen à área âge ça école économie ' +
  'économique écrit édition éducation également église él élections éléments énergie época époque équipe éste ' +
  'étaient étais était étant état états étude études été éviter éxito êtes être öffentlichen österreich última ' +
  'último últimos única único über überall überhaupt übrigens œuvre';
